#pragma once

#include <gtest/gtest.h>

#include <map>

#include "base/thread_cpu_time.h"
#include "guard/resource_monitor.h"

namespace keisei::guard {

using namespace std::chrono_literals;

constexpr pid_t kInit = 100;
constexpr os::FileId kWeights{.device = 1, .inode = 77};

/// A tree as the tests want it.
class FakeView : public os::ProcessView {
 public:
  struct Process {
    os::ProcessMemory memory;
    bool memory_hidden = false;
    os::ProcessStat stat;
    std::optional<std::vector<os::MemoryFile>> files = std::vector<os::MemoryFile>{};
    std::vector<os::MappedFile> mapped = {};
    bool mapped_complete = true;
    std::chrono::nanoseconds mapped_cost{0};
    std::vector<os::Mapping> mappings;
    bool hides_mappings = false;
    std::optional<os::AnonymousShare> share = std::nullopt;
    std::optional<os::ProcessIo> io = std::nullopt;
    std::chrono::nanoseconds cpu_time{0};
  };
  std::map<pid_t, Process> processes;
  os::ProcessStat init;
  std::optional<os::ProcessIo> init_io;
  Bytes scratch;
  std::optional<Bytes> host = std::nullopt;
  bool blind = false;
  bool all_activity_shows = true;
  int memory_reads = 0;
  int descriptor_scans = 0;
  int exact_probes = 0;
  int share_probes = 0;
  int mapped_reads = 0;
  [[nodiscard]] int dear_reads() const {
    return descriptor_scans + exact_probes + share_probes + mapped_reads;
  }

  std::vector<pid_t> descendants(pid_t) override {
    std::vector<pid_t> pids;
    for (const auto& [pid, process] : processes) {
      pids.push_back(pid);
    }
    return pids;
  }
  std::optional<os::ProcessStat> stat(pid_t pid) override {
    return pid == kInit ? init : processes.at(pid).stat;
  }
  std::chrono::nanoseconds cpu_time(pid_t pid) override {
    const auto process = processes.find(pid);
    return pid == kInit ? 1ms : process == processes.end() ? 0ns : process->second.cpu_time;
  }
  bool shows_all_activity() override { return all_activity_shows; }
  std::optional<os::ProcessMemory> memory(pid_t pid) override {
    ++memory_reads;
    const Process& process = processes.at(pid);
    return process.memory_hidden ? std::nullopt : std::optional(process.memory);
  }
  std::optional<std::vector<os::MemoryFile>> memory_files(pid_t pid) override {
    ++descriptor_scans;
    return processes.at(pid).files;
  }
  std::optional<os::ProcessIo> io(pid_t pid) override {
    return pid == kInit ? init_io : processes.at(pid).io;
  }
  os::MappedFileList mapped_files(pid_t pid, MonotonicTime) override {
    ++mapped_reads;
    const Process& process = processes.at(pid);
    const std::chrono::nanoseconds end = thread_cpu_time() + process.mapped_cost;
    while (thread_cpu_time() < end) {
    }
    return {.files = process.mapped, .complete = process.mapped_complete};
  }
  std::optional<Bytes> shared_memory_of_host() override { return host; }
  bool out_of_descriptors() override { return blind; }
  Bytes used_of_file_system(int) override { return scratch; }
  std::optional<std::vector<os::Mapping>> mappings(pid_t pid) override {
    ++exact_probes;
    const Process& process = processes.at(pid);
    return process.hides_mappings ? std::nullopt : std::optional(process.mappings);
  }
  std::optional<os::AnonymousShare> anonymous_share(pid_t pid) override {
    ++share_probes;
    return processes.at(pid).share;
  }
};

class ResourceMonitorTest : public testing::Test {
 protected:
  ResourceMonitor monitor(Bytes limit = megabytes(500), unsigned processors = 2) {
    return {view_,
            {.root = kInit,
             .memory_limit = limit,
             .worker = true,
             .processors = processors,
             .shared_files = {kWeights},
             .stop_to_count =
                 [this] {
                   stops_.push_back(view_.dear_reads());
                   return stops_allowed_;
                 },
             .go_on =
                 [this](std::chrono::nanoseconds lease) {
                   goings_on_.push_back(view_.dear_reads());
                   leases_.push_back(lease);
                 }}};
  }
  void add(pid_t pid, Bytes anonymous, Bytes shared = {}) {
    view_.processes[pid].memory = {.anonymous = anonymous, .shared = shared};
    view_.processes[pid].stat.threads = 2;
  }

  /// Looks as often as the guard does, and the last time at `to`.
  static ResourceSample watch(ResourceMonitor& watching, MonotonicTime from, MonotonicTime to) {
    for (MonotonicTime now = from; now < to; now += watching.next_interval()) {
      (void)watching.sample(now);
    }
    return watching.sample(to);
  }

  static os::Mapping weights(Bytes resident) {
    return {.file = kWeights,
            .shared_memory = true,
            .proportional = resident,
            .anonymous = {},
            .resident = resident};
  }

  FakeView view_;
  // How much had been read that takes long when the tree was stopped, and when it was let go on.
  std::vector<int> stops_;
  std::vector<int> goings_on_;
  std::vector<std::chrono::nanoseconds> leases_;
  bool stops_allowed_ = true;
  MonotonicTime now_{1s};
};

}  // namespace keisei::guard
