#include "guard/hidden_memory.h"

#include <algorithm>
#include <set>

#include "guard/thread_cpu_time.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr int kShare = 4;                           // a rest is so many times a look's cost
constexpr std::chrono::nanoseconds kHostRest = 2s;  // while nothing is unknown
constexpr int kPatience = 2;  // looks: an honest mapping may go between its line and the question

}  // namespace

void HiddenMemory::look(os::ProcessView& view, const std::vector<pid_t>& members,
                        const IsCounted& counted, MonotonicTime now) {
  if (next_look_ && now < *next_look_) {
    return;
  }
  const std::chrono::nanoseconds before = thread_cpu_time();
  files_.clear();
  bool unknown = false;
  std::set<os::FileId> seen;
  for (const pid_t pid : members) {
    for (const os::MappedFile& mapped : view.mapped_files(pid, now)) {
      if (counted(mapped.file)) {
        continue;
      }
      unknown |= !mapped.allocated;
      if (mapped.allocated && seen.insert(mapped.file).second) {
        files_.push_back({.file = mapped.file, .allocated = *mapped.allocated});
      }
    }
  }
  unknown_in_a_row_ = unknown ? unknown_in_a_row_ + 1 : 0;
  look_at_host(view, now);
  next_look_ = now + kShare * (thread_cpu_time() - before);
}

void HiddenMemory::look_at_host(os::ProcessView& view, MonotonicTime now) {
  if (!watch_host_ || (unknown_in_a_row_ == 0 && next_look_at_host_ && now < *next_look_at_host_)) {
    return;
  }
  next_look_at_host_ = now + kHostRest;
  if (const std::optional<Bytes> host = view.shared_memory_of_host()) {
    lowest_of_host_ = std::min(lowest_of_host_.value_or(*host), *host);
    growth_of_host_ = *host - *lowest_of_host_;
  }
}

Bytes HiddenMemory::beyond(Bytes resident) const {
  Bytes sum;
  for (const os::MemoryFile& file : files_) {
    sum = sum + file.allocated;
  }
  return std::max(Bytes{}, sum - resident);
}

std::optional<Bytes> HiddenMemory::bound() const {
  return unknown_in_a_row_ >= kPatience && lowest_of_host_ ? std::optional(growth_of_host_)
                                                           : std::nullopt;
}

}  // namespace keisei::guard
