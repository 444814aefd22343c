#include "guard/soft_limits.h"

#include <unistd.h>

#include <algorithm>

#include "os/warning.h"

namespace keisei::guard {
namespace {

constexpr std::int64_t kSoftPercent = 80;
constexpr std::chrono::nanoseconds kLongestNotice = std::chrono::seconds(5);

void tell(const UniqueFd& worker, os::Warning warning) {
  const auto byte = static_cast<char>(warning);
  // A worker that closed its end or stuffed it will not hear; its limit holds all the same.
  (void)!write(worker.get(), &byte, 1);
}

}  // namespace

bool nears_memory_limit(Bytes memory, const EvaluationLimits& limits) {
  return memory.count >= limits.memory.count / 100 * kSoftPercent;
}

std::chrono::nanoseconds timeout_warning_at(const EvaluationLimits& limits) {
  return std::max(limits.timeout / 100 * kSoftPercent, limits.timeout - kLongestNotice);
}

void SoftLimits::look(const ResourceSample& sample, std::chrono::nanoseconds elapsed) {
  if (!memory_ && nears_memory_limit(sample.memory, limits_)) {
    memory_ = elapsed;
    tell(to_worker_, os::Warning::Memory);
  }
  if (!timeout_ && elapsed >= timeout_warning_at(limits_)) {
    timeout_ = elapsed;
    tell(to_worker_, os::Warning::Timeout);
  }
}

}  // namespace keisei::guard
