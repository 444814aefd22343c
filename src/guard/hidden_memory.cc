#include "guard/hidden_memory.h"

#include <algorithm>
#include <utility>

#include "base/thread_cpu_time.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr int kShare = 4;                           // a rest is so many times a look's cost
constexpr std::chrono::nanoseconds kBudget = 2ms;   // CPU time of a look, and its last process
constexpr std::chrono::nanoseconds kAfresh = 20ms;  // the same, before a tree is ended
constexpr std::size_t kMostAsked = os::MappedFiles::kMost;  // in one round
constexpr std::chrono::nanoseconds kHostRest = 2s;          // while nothing is unknown
// Rounds: an honest mapping may go between its line and the question, but its file with it.
constexpr int kPatience = 2;
constexpr int kLongPatience = 3;

}  // namespace

void HiddenMemory::look(os::ProcessView& view, const std::vector<pid_t>& members,
                        const IsCounted& counted, MonotonicTime now) {
  if (!next_look_ || now >= *next_look_) {
    const std::chrono::nanoseconds before = thread_cpu_time();
    leave_out_the_dead(members);
    if (round_.waiting.empty()) {
      round_.waiting = members;
    }
    go_on(view, counted, now, before + kBudget);
    look_at_host(view, now);
    next_look_ = now + kShare * (thread_cpu_time() - before);
  }
  sum_up(counted);
}

void HiddenMemory::look_afresh(os::ProcessView& view, const std::vector<pid_t>& members,
                               const IsCounted& counted, MonotonicTime now) {
  const std::chrono::nanoseconds end = thread_cpu_time() + kAfresh;
  leave_out_the_dead(members);
  go_on(view, counted, now, end);
  if (round_.waiting.empty()) {
    round_.waiting = members;
    go_on(view, counted, now, end);
  }
  sum_up(counted);
}

/// Their numbers may be others' soon.
void HiddenMemory::leave_out_the_dead(const std::vector<pid_t>& members) {
  std::vector<pid_t> living = members;
  std::ranges::sort(living);
  const bool begun = !round_.waiting.empty();
  std::erase_if(round_.waiting,
                [&](pid_t pid) { return !std::ranges::binary_search(living, pid); });
  if (begun && round_.waiting.empty()) {
    end_round();
  }
}

void HiddenMemory::go_on(os::ProcessView& view, const IsCounted& counted, MonotonicTime now,
                         std::chrono::nanoseconds end) {
  while (!round_.waiting.empty()) {
    const os::MappedFileList mapped = view.mapped_files(round_.waiting.back(), now);
    round_.waiting.pop_back();
    round_.asked += mapped.files.size();
    round_.too_many |= !mapped.complete || round_.asked > kMostAsked;
    for (const os::MappedFile& file : mapped.files) {
      if (file.allocated) {
        round_.files[file.file] = *file.allocated;
      } else if (!counted(file.file)) {
        round_.unknown.insert(file.file);
      }
    }
    if (round_.waiting.empty()) {
      return end_round();
    }
    if (thread_cpu_time() >= end) {
      return;
    }
  }
}

void HiddenMemory::end_round() {
  std::map<os::FileId, int> unknown;
  longest_unknown_ = 0;
  for (const os::FileId& file : round_.unknown) {
    if (!round_.files.contains(file)) {  // nor does another process tell
      unknown[file] = unknown_[file] + 1;
      longest_unknown_ = std::max(longest_unknown_, unknown[file]);
    }
  }
  unknown_ = std::move(unknown);
  last_ = std::move(round_.files);
  too_many_ = round_.too_many;
  round_ = {};
}

void HiddenMemory::sum_up(const IsCounted& counted) {
  files_.clear();
  sum_ = {};
  const auto add = [&](const os::FileId& file, Bytes allocated) {
    if (!counted(file)) {
      files_.push_back({.file = file, .allocated = allocated});
      sum_ = sum_ + allocated;
    }
  };
  for (const auto& [file, allocated] : round_.files) {
    add(file, allocated);
  }
  for (const auto& [file, allocated] : last_) {
    if (!round_.files.contains(file)) {
      add(file, allocated);
    }
  }
}

void HiddenMemory::look_at_host(os::ProcessView& view, MonotonicTime now) {
  if (!lowest_of_host_ || (unknown_.empty() && next_look_at_host_ && now < *next_look_at_host_)) {
    return;
  }
  next_look_at_host_ = now + kHostRest;
  if (const std::optional<Bytes> host = view.shared_memory_of_host()) {
    lowest_of_host_ = std::min(*lowest_of_host_, *host);
    growth_of_host_ = *host - *lowest_of_host_;
  }
}

std::optional<Bytes> HiddenMemory::growth_of_host() const {
  return longest_unknown_ >= kPatience && lowest_of_host_ ? std::optional(growth_of_host_)
                                                          : std::nullopt;
}

Uncounted HiddenMemory::uncounted() const {
  if (too_many_ || round_.too_many) {
    return Uncounted::TooMany;
  }
  return longest_unknown_ >= kLongPatience && !lowest_of_host_ ? Uncounted::NeverThere
                                                               : Uncounted::Nothing;
}

}  // namespace keisei::guard
