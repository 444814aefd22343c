#include "guard/resource_monitor.h"

#include <time.h>

#include <algorithm>
#include <unordered_map>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr double kTouchRate = 6e9;  // bytes/s: twice what one core was measured to touch
constexpr std::chrono::nanoseconds kShortest = 2ms;
constexpr std::chrono::nanoseconds kLongest = 20ms;
constexpr std::chrono::nanoseconds kShortestScan = 10ms;
constexpr std::chrono::nanoseconds kLongestScan = 50ms;
constexpr int kHiddenPatience = 3;  // scans: a table may be unreadable for an instant, during exec
constexpr std::chrono::nanoseconds kUrgentRest = 20ms;  // at most, where growth was seen
constexpr std::chrono::nanoseconds kExactRest = 20ms;   // at least, where none was
constexpr int kExactShare = 4;                          // a rest is so many times the probe's cost
constexpr std::chrono::nanoseconds kInheritedRest = 250ms;
constexpr int kInheritedShare = 20;

std::chrono::nanoseconds pace(Bytes headroom, std::chrono::nanoseconds shortest,
                              std::chrono::nanoseconds longest) {
  const double left = std::max(0.0, static_cast<double>(headroom.count)) / kTouchRate;
  const auto wait = std::chrono::nanoseconds(static_cast<std::int64_t>(left * 1e9));
  return std::clamp(wait, shortest, longest);
}

/// Of this thread: on a busy machine a probe takes longer, but costs no more.
std::chrono::nanoseconds cpu_time() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

Bytes total(const std::vector<os::MemoryFile>& files) {
  Bytes sum;
  for (const os::MemoryFile& file : files) {
    sum = sum + file.allocated;
  }
  return sum;
}

}  // namespace

ResourceMonitor::ResourceMonitor(os::ProcessView& view, Options options)
    : view_(view), options_(std::move(options)) {}

ResourceSample ResourceMonitor::sample(MonotonicTime now) {
  ResourceSample sample;
  members_ = view_.descendants(options_.root);
  const CheapSum sum = sum_up(sample);
  if (!next_scan_ || now >= *next_scan_) {
    scan_descriptors(now);
  }
  // Inherited memfds are mapped by whoever reads them; what is shared beyond them counts.
  const Bytes shared =
      sum.shared > Bytes{} ? std::max(Bytes{}, sum.shared - inherited(now)) : Bytes{};
  sample.memory = settle(sum.anonymous + shared + total(files_), now);
  sample.descriptors_hidden =
      options_.descriptors_must_be_readable && hidden_in_a_row_ >= kHiddenPatience;
  count_cpu(sample);
  last_ = sample.memory;
  if (sample.memory > Bytes{}) {  // a process that is just ending has none
    metrics_.peak_memory = std::max(metrics_.peak_memory.value_or(Bytes{}), sample.memory);
  }
  metrics_.cpu_seconds = std::max(metrics_.cpu_seconds, sample.cpu_seconds);
  metrics_.max_processes = std::max(metrics_.max_processes, sample.processes);
  metrics_.max_threads = std::max(metrics_.max_threads, sample.threads);
  return sample;
}

void ResourceMonitor::note_gpu(os::GpuSampler& sampler, MonotonicTime now) {
  const std::optional<os::GpuReading>& reading = sampler.poll(now, members_);
  if (!sampler.absent()) {
    gpu_.note(reading, members_, now);
    metrics_.gpu = gpu_.result();
  }
}

std::chrono::nanoseconds ResourceMonitor::next_interval() const {
  return pace(options_.memory_limit - last_, kShortest, kLongest);
}

ResourceMonitor::CheapSum ResourceMonitor::sum_up(ResourceSample& sample) {
  CheapSum sum;
  for (const pid_t pid : members_) {
    const std::optional<os::ProcessMemory> memory = view_.memory(pid);
    if (memory) {
      sum.anonymous = sum.anonymous + memory->anonymous;
      sum.shared = sum.shared + memory->shared;
      metrics_.peak_file_backed = std::max(metrics_.peak_file_backed, memory->file_backed);
      sample.threads += memory->threads;
      ++sample.processes;
    }
  }
  return sum;
}

void ResourceMonitor::count_cpu(ResourceSample& sample) {
  // What has ended was waited for by a member or by the init.
  double sum = 0;
  if (const std::optional<os::ProcessStat> init = view_.stat(options_.root)) {
    sum += init->reaped_cpu_seconds;
  }
  for (const pid_t pid : members_) {
    if (const std::optional<os::ProcessStat> stat = view_.stat(pid)) {
      sum += stat->cpu_seconds + stat->reaped_cpu_seconds;
    }
  }
  sample.cpu_seconds = std::max(sum, metrics_.cpu_seconds);
}

void ResourceMonitor::scan_descriptors(MonotonicTime now) {
  next_scan_ = now + pace(options_.memory_limit - last_, kShortestScan, kLongestScan);
  files_.clear();
  bool hidden = false;
  std::unordered_set<std::uint64_t> seen = options_.shared_inodes;
  for (const pid_t pid : members_) {
    const std::optional<std::vector<os::MemoryFile>> files = view_.memory_files(pid);
    hidden |= !files.has_value();
    for (const os::MemoryFile& file : files.value_or(std::vector<os::MemoryFile>{})) {
      if (seen.insert(file.inode).second) {
        files_.push_back(file);
      }
    }
  }
  hidden_in_a_row_ = hidden ? hidden_in_a_row_ + 1 : 0;
}

Bytes ResourceMonitor::inherited(MonotonicTime now) {
  if (options_.shared_inodes.empty() || (next_inherited_ && now < *next_inherited_)) {
    return inherited_;
  }
  const std::chrono::nanoseconds before = cpu_time();
  inherited_ = {};
  for (const pid_t pid : members_) {
    for (const os::Mapping& mapping : view_.mappings(pid)) {
      if (options_.shared_inodes.contains(mapping.inode)) {
        inherited_ = inherited_ + mapping.resident - mapping.anonymous;
      }
    }
  }
  const std::chrono::nanoseconds cost = cpu_time() - before;
  next_inherited_ = now + std::max(kInheritedRest, kInheritedShare * cost);
  return inherited_;
}

/// The cheap sum where it is below the limit or counts no page twice; otherwise the exact one,
/// between two exact probes corrected by the growth since.
Bytes ResourceMonitor::settle(Bytes cheap, MonotonicTime now) {
  const bool may_count_twice = members_.size() > 1 || !files_.empty();
  if (cheap <= options_.memory_limit || !may_count_twice) {
    return cheap;
  }
  const Bytes believed = std::max(Bytes{}, cheap - counted_twice_);
  const std::chrono::nanoseconds rest = believed > options_.memory_limit
                                            ? std::min(exact_cost_, kUrgentRest)
                                            : std::max(kExactShare * exact_cost_, kExactRest);
  if (exact_at_ && now < *exact_at_ + rest) {
    return std::min(believed, options_.memory_limit);  // not known to be above it
  }
  const MonotonicTime started = MonotonicClock::now();
  const std::chrono::nanoseconds before = cpu_time();
  Bytes measured = exact();
  if (measured > options_.memory_limit) {
    // Sharers that come and go while they are read one by one make a sum that never was.
    measured = std::min(measured, exact());
  }
  exact_cost_ = cpu_time() - before;
  exact_at_ = now + (MonotonicClock::now() - started);
  counted_twice_ = std::max(Bytes{}, cheap - measured);
  return measured;
}

Bytes ResourceMonitor::exact() {
  Bytes sum;
  std::unordered_map<std::uint64_t, Bytes> mapped;  // part of each memory file that was counted
  for (const pid_t pid : members_) {
    for (const os::Mapping& mapping : view_.mappings(pid)) {
      const bool file = mapping.inode != 0 && !mapping.shared_memory;
      if (file || options_.shared_inodes.contains(mapping.inode)) {
        sum = sum + mapping.anonymous;
      } else {
        sum = sum + mapping.proportional;
        mapped[mapping.inode] = mapped[mapping.inode] + mapping.proportional;
      }
    }
  }
  for (const os::MemoryFile& file : files_) {
    sum = sum + std::max(Bytes{}, file.allocated - mapped[file.inode]);
  }
  return sum;
}

}  // namespace keisei::guard
