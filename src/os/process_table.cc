#include "os/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

namespace keisei::os {
namespace {

using namespace std::chrono_literals;

constexpr auto kFullScanRest = 500ms;  // of a safety net: what is born is looked at by its id
constexpr pid_t kWorthALook = 128;     // so many ids cost as much as a look through /proc
constexpr pid_t kJustBorn = 8;         // ids that a look through /proc may have come too early for
constexpr int kLooks = 3;              // at an id that was given out to a process not yet there
constexpr auto kBetweenLooks = 15ms;   // however many runs ask: its parent may have lost the CPU

std::optional<pid_t> to_pid(std::string_view name) {
  pid_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  const bool whole = error == std::errc{} && end == name.data() + name.size();
  return whole ? std::optional(value) : std::nullopt;
}

class HostProcesses final : public ProcessSource {
 public:
  std::optional<pid_t> newest() override {
    std::array<char, 128> buffer{};
    const ssize_t got = pread(loadavg_.get(), buffer.data(), buffer.size(), 0);
    return got > 0 ? parse_newest_pid({buffer.data(), static_cast<std::size_t>(got)})
                   : std::nullopt;
  }
  std::vector<pid_t> all() override {
    std::vector<pid_t> pids;
    const ScarceDirectory directory("/proc");
    while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
      if (const std::optional<pid_t> pid = to_pid(entry->d_name)) {
        pids.push_back(*pid);
      }
    }
    return pids;
  }
  std::optional<ProcessStat> stat(pid_t id) override {
    const auto text = read_proc(fmt::format("/proc/{}/stat", id));
    return text ? parse_stat(*text, ticks_per_second_) : std::nullopt;
  }
  /// A thread has an id and a directory too.
  bool is_thread(pid_t id) override {
    const std::optional<std::string> status = read_proc(fmt::format("/proc/{}/status", id));
    return status && parse_thread_group(*status).value_or(id) != id;
  }

 private:
  const double ticks_per_second_ = static_cast<double>(sysconf(_SC_CLK_TCK));
  const UniqueFd loadavg_{open("/proc/loadavg", O_RDONLY | O_CLOEXEC)};
};

}  // namespace

std::unique_ptr<ProcessSource> host_processes() { return std::make_unique<HostProcesses>(); }

ProcessTable::ProcessTable(std::unique_ptr<ProcessSource> source) : source_(std::move(source)) {}

void ProcessTable::watch(pid_t root) {
  trees_.try_emplace(root);
  strangers_.clear();  // a scan may have seen its processes before it was a root
  const std::optional<pid_t> newest_now = source_->newest();
  if (!newest_now || *newest_now < root || (newest_ && root < *newest_)) {
    owes_full_look_ = true;  // the ids have wrapped round since, or some of its own were looked at
  } else if (!newest_ && trees_.size() == 1) {
    newest_ = root;  // of one that has just been started there is little to look at
  }
}

void ProcessTable::forget(pid_t root) {
  trees_.erase(root);
  std::erase_if(root_of_member_, [root](const auto& entry) { return entry.second == root; });
}

std::vector<pid_t> ProcessTable::descendants(pid_t root, MonotonicTime now) {
  refresh(now);
  const std::span<const pid_t> tree = known(root);
  return {tree.begin(), tree.end()};
}

std::span<const pid_t> ProcessTable::known(pid_t root) const {
  const auto tree = trees_.find(root);
  return tree == trees_.end() ? std::span<const pid_t>{} : tree->second;
}

void ProcessTable::drop(pid_t pid) {
  const auto member = root_of_member_.find(pid);
  if (member != root_of_member_.end()) {
    std::erase(trees_[member->second], pid);
    root_of_member_.erase(member);
  }
}

void ProcessTable::refresh(MonotonicTime now) {
  const std::optional<pid_t> newest_now = source_->newest();
  if (!next_full_) {
    next_full_ = now + kFullScanRest;
  }
  if (newest_now && newest_now == newest_ && complete(now)) {
    return;
  }
  const bool wrapped = newest_now && newest_ && *newest_now < *newest_;
  if (wrapped) {
    strangers_.clear();  // their ids are given out again
  }
  if (!newest_now || !newest_ || wrapped || *newest_now - *newest_ > kWorthALook ||
      owes_full_look_ || now >= next_full_) {
    scan_all();
    next_full_ = now + kFullScanRest;
    owes_full_look_ = false;
  }
  if (newest_now) {
    const pid_t known = newest_ && !wrapped ? *newest_ : *newest_now - kJustBorn;
    look_at_newborn(std::max(known, *newest_now - kWorthALook) + 1, *newest_now, now);
  }
  newest_ = newest_now;
}

void ProcessTable::look_at_newborn(pid_t first, pid_t last, MonotonicTime now) {
  for (pid_t pid = std::max(first, 1); pid <= last; ++pid) {
    unborn_.push_back({.pid = pid, .looks_left = kLooks, .next_counts = now});
  }
  std::vector<ProcessStat> found;
  std::vector<Newborn> still;
  for (Newborn& newborn : unborn_) {
    const std::optional<ProcessStat> process = source_->stat(newborn.pid);
    if (process && !ended(*process)) {
      found.push_back(*process);
    } else if (!process) {
      if (now >= newborn.next_counts) {
        --newborn.looks_left;
        newborn.next_counts = now + kBetweenLooks;
      }
      if (newborn.looks_left > 0) {
        still.push_back(newborn);
      }
    }
  }
  unborn_ = std::move(still);
  adopt(std::move(found));
}

void ProcessTable::scan_all() {
  std::vector<ProcessStat> unfamiliar;
  std::unordered_set<pid_t> strangers;
  for (const pid_t pid : source_->all()) {
    if (trees_.contains(pid)) {
      continue;
    }
    if (strangers_.contains(pid)) {
      strangers.insert(pid);
      continue;
    }
    const std::optional<ProcessStat> process = source_->stat(pid);
    if (process && ended(*process)) {
      drop(pid);
    } else if (process) {
      unfamiliar.push_back(*process);
    }
  }
  for (const ProcessStat& process : adopt(std::move(unfamiliar))) {
    if (process.parent <= 2 || strangers.contains(process.parent)) {
      strangers.insert(process.pid);
    }
  }
  strangers_ = std::move(strangers);
}

std::vector<ProcessStat> ProcessTable::adopt(std::vector<ProcessStat> processes) {
  bool again = true;
  while (again) {  // until no parent link leads to another one
    again = false;
    std::erase_if(processes, [&](const ProcessStat& process) {
      const pid_t root = root_of(process.parent);
      if (root_of(process.pid) != 0) {
        return true;  // a member, or a root, already
      }
      if (root == 0) {
        return false;
      }
      if (!source_->is_thread(process.pid)) {
        trees_[root].push_back(process.pid);
        root_of_member_[process.pid] = root;
        again = true;
      }
      return true;
    });
  }
  return processes;
}

pid_t ProcessTable::root_of(pid_t pid) const {
  if (trees_.contains(pid)) {
    return pid;
  }
  const auto member = root_of_member_.find(pid);
  return member == root_of_member_.end() ? 0 : member->second;
}

}  // namespace keisei::os
