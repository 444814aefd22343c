#include "guard/tree_weight.h"

#include <chrono>
#include <cstddef>

#include "os/session_weight.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr auto kBetweenLooks = 250ms;  // a file is opened for each process
constexpr auto kBetweenLifts = 100ms;  // without privilege the kernel takes one on the whole host
constexpr std::size_t kFew = 16;

}  // namespace

void TreeWeight::begin(Start start) {
  low_class_ = start == Start::LowClass;
  if (start == Start::Low) {
    low_.reset();
  }
}

void TreeWeight::set(bool low, const std::vector<pid_t>& members, MonotonicTime now) {
  if (low_ == true && now >= next_look_) {
    low_.reset();
    next_look_ = now + kBetweenLooks;
  }
  if (low != low_) {
    low_ = os::set_weight(members, low) ? std::optional(low) : std::nullopt;
  }
}

bool TreeWeight::lift_first(const std::vector<pid_t>& members) {
  if (low_ != false) {
    const auto few = std::span(members).first(std::min(members.size(), kFew));
    if (few.empty() || !os::set_weight(few, false)) {  // there is somebody, not seen yet
      return false;
    }
    if (few.size() == members.size()) {
      low_ = false;
    }
  }
  return !low_class_;
}

void TreeWeight::lift(const std::vector<pid_t>& members) {
  if (low_ != false && !members.empty() && os::set_weight(members, false)) {
    low_ = false;
  }
}

std::optional<MonotonicTime> TreeWeight::next_lift(MonotonicTime now) const {
  return low_ == false ? std::nullopt : std::optional(now + kBetweenLifts);
}

}  // namespace keisei::guard
