#include "guard/resource_monitor.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "base/thread_cpu_time.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds kLongestStill = 500ms;
constexpr int kHiddenPatience = 3;  // scans: a table may be unreadable for an instant, during exec
constexpr std::chrono::nanoseconds kUrgentRest = 20ms;  // at most, where growth was seen
constexpr std::chrono::nanoseconds kExactRest = 20ms;   // at least, where none was
constexpr int kExactShare = 4;                          // a rest is so many times the probe's cost
constexpr std::size_t kMany = 8;                        // processes
constexpr std::chrono::nanoseconds kLateness = 1ms;     // of a sample: costs the tree nothing
constexpr std::int64_t kNearly = 80;                    // percent of the limit
constexpr int kNearlyLooks = 3;
constexpr std::chrono::nanoseconds kInheritedRest = 250ms;
constexpr int kInheritedShare = 20;

}  // namespace

ResourceMonitor::ResourceMonitor(os::ProcessView& view, Options options)
    : view_(view),
      options_(std::move(options)),
      pace_(options_.memory_limit, options_.processors),
      growth_(options_.memory_limit),
      hidden_(options_.host_shared_memory) {}

ResourceSample ResourceMonitor::sample(MonotonicTime now) {
  CpuTimes used = cpu_times();
  still_ = nothing_done(used, now);
  if (still_) {
    if (leased_) {  // it may be told by nobody else that it may do something
      let_go_on(true, last_.memory, now);
    }
    return last_;
  }
  next_full_ = now + kLongestStill;
  find_members(std::move(used));
  ResourceSample sample;
  CheapSum sum = sum_up(sample);
  const bool scan = scan_is_due(now);
  const Bytes believed = net_sum(sum);
  if (leased_ && now > lease_end_) {
    growth_.leave_out(now - lease_end_);
  }
  growth_.note(believed, now);
  const bool wary = may_outrun(believed);
  const bool stop = wary && (scan || believed > options_.memory_limit);
  const bool stands_still = stop && options_.stop_to_count();
  const MonotonicTime stopped_at = stands_still ? MonotonicClock::now() : MonotonicTime{};
  if (scan) {
    scan_descriptors(now, Look::WhenDue);
    growth_.note(net_sum(sum), now);  // what only a scan sees grows too
  }
  // Inherited memfds are mapped by whoever reads them; what is shared beyond them counts.
  sum.shared = sum.shared > Bytes{} ? std::max(Bytes{}, sum.shared - inherited(now)) : Bytes{};
  scratch_used_ = scratch_ ? view_.used_of_file_system(scratch_->fd) : Bytes{};
  sample.memory = settle(sum, now);
  if ((wary || leased_) && stop == stands_still && sample.memory <= options_.memory_limit) {
    let_go_on(wary, sample.memory, now);
  }
  const Bytes bound = sum.anonymous + hidden_.growth_of_host().value_or(Bytes{});
  if (bound > options_.memory_limit) {
    sample.growth_of_host = hidden_.growth_of_host();
  }
  if (scan) {  // by what it has found: nothing else sees a memfd that nobody maps
    const auto stood = stands_still ? MonotonicClock::now() - stopped_at : 0ns;
    next_scan_ = now + stood + pace_.until_next_scan(std::max(sample.memory, bound));
  }
  note_hidden(sample);
  if (!next_account_ || now >= *next_account_) {
    account();
    next_account_ = now + options_.account_rest;
  }
  sample.cpu_seconds = metrics_.cpu_seconds;
  sample.threads = threads_;
  sample.io = metrics_.io;
  keep(sample);
  return sample;
}

void ResourceMonitor::note_hidden(ResourceSample& sample) {
  const bool hides = hidden_in_a_row_ >= kHiddenPatience;
  sample.descriptors_hidden = options_.worker && hides;
  metrics_.hides_descriptors |= hides && !options_.kernel_holds_memory;
  if (const Uncounted uncounted = hidden_.uncounted(); uncounted != Uncounted::Nothing) {
    metrics_.uncounted = uncounted;
    sample.uncounted = options_.worker ? uncounted : Uncounted::Nothing;
  }
}

void ResourceMonitor::keep(const ResourceSample& sample) {
  last_ = sample;
  if (sample.memory > Bytes{}) {  // a process that is just ending has none
    metrics_.peak_memory = std::max(metrics_.peak_memory.value_or(Bytes{}), sample.memory);
  }
  metrics_.max_processes = std::max(metrics_.max_processes, sample.processes);
  metrics_.samples_in_part += view_.out_of_descriptors() ? 1 : 0;
}

void ResourceMonitor::note_gpu(os::GpuSampler& sampler, MonotonicTime now) {
  const std::optional<os::GpuReading>& reading = sampler.poll(now, members_);
  if (!sampler.absent()) {
    gpu_.note(reading, members_, now);
    metrics_.gpu = gpu_.result();
  }
}

std::chrono::nanoseconds ResourceMonitor::next_interval() const {
  return interval_at(last_.memory);
}

std::chrono::nanoseconds ResourceMonitor::interval_at(Bytes memory) const {
  const bool in_doubt =
      members_new_ || leased_ || hidden_in_a_row_ > 0 || hidden_.growth_of_host().has_value();
  return pace_.until_next_look({.memory = memory,
                                .tasks = tasks(),
                                .grows = growth_.seen(),
                                .settled = !growth_.seen() && !in_doubt});
}

std::size_t ResourceMonitor::tasks() const {
  return std::max(members_.size(), static_cast<std::size_t>(threads_));
}

/// Rather early than late: a memfd that nobody maps makes nothing grow that is seen without a scan.
/// How long the next wait is depends on what this look sees.
bool ResourceMonitor::scan_is_due(MonotonicTime now) const {
  return !next_scan_ ||
         now + std::max(next_interval(), pace_.until_next_look_settled(last_.memory)) > *next_scan_;
}

ResourceMonitor::CheapSum ResourceMonitor::sum_up(ResourceSample& sample) {
  CheapSum sum;
  by_size_.clear();
  bool all_seen = !members_.empty();
  // As it was before their memory is read: what is filled meanwhile is then not taken for seen.
  // Of the living now, of the others as of the last account: never too much.
  const double cpu_seconds =
      seconds(std::accumulate(used_.begin(), used_.end(), std::chrono::nanoseconds{})) +
      reaped_cpu_seconds_;
  for (const pid_t pid : members_) {
    const std::optional<os::ProcessMemory> memory = view_.memory(pid);
    // Of a process that is just ending the memory goes before it does.
    all_seen =
        all_seen && memory && memory->anonymous + memory->shared + memory->file_backed > Bytes{};
    if (memory) {
      sum.anonymous = sum.anonymous + memory->anonymous;
      sum.shared = sum.shared + memory->shared;
      by_size_.emplace_back(memory->anonymous + memory->shared, pid);
      metrics_.peak_file_backed = std::max(metrics_.peak_file_backed, memory->file_backed);
      ++sample.processes;
    }
  }
  if (all_seen) {
    metrics_.cpu_seconds_seen = cpu_seconds;
  }
  return sum;
}

/// Not of one that has its size: what it shares was measured, and stopping it again and again would
/// cost it much. One that has grown is not trusted at once because it did not since it was counted.
bool ResourceMonitor::may_outrun(Bytes believed) const {
  const bool many = members_.size() >= kMany ||
                    (members_.size() > 1 && static_cast<std::size_t>(threads_) >= kMany);
  if (!options_.stop_to_count || options_.kernel_holds_memory || !many) {
    return false;
  }
  return believed > options_.memory_limit ||
         (growth_.seen() &&
          believed + LookPace::taken_while_all_run(tasks()) > options_.memory_limit);
}

void ResourceMonitor::let_go_on(bool on_lease, Bytes memory, MonotonicTime now) {
  leased_ = on_lease;
  const std::chrono::nanoseconds lease = on_lease ? interval_at(memory) + kLateness : 0ns;
  lease_end_ = now + lease;
  options_.go_on(lease);
}

ResourceMonitor::CpuTimes ResourceMonitor::cpu_times() const {
  CpuTimes used = {view_.cpu_time(options_.root)};
  for (const pid_t pid : members_) {
    used.push_back(view_.cpu_time(pid));
  }
  return used;
}

/// Near the limit nothing rests on this: the CPU clock of a process that runs just now lags by up
/// to a tick, and far away there is room for what is missed once.
bool ResourceMonitor::nothing_done(const CpuTimes& used, MonotonicTime now) const {
  const bool told = std::ranges::find(used, std::chrono::nanoseconds{}) == used.end();
  const bool in_doubt = members_.empty() || members_new_ || hidden_in_a_row_ > 0 || !told;
  return !in_doubt && used == used_ && now < next_full_ && pace_.is_far(last_.memory) &&
         view_.shows_all_activity();
}

/// Their CPU times come first: whoever is started later has cost its parent some.
void ResourceMonitor::find_members(CpuTimes used) {
  const std::vector<pid_t> before = std::exchange(members_, view_.descendants(options_.root));
  members_new_ = members_ != before;
  used_ = members_new_ ? cpu_times() : std::move(used);
}

std::vector<pid_t> ResourceMonitor::largest_members(std::size_t count) const {
  std::vector<std::pair<Bytes, pid_t>> largest(std::min(count, by_size_.size()));
  std::ranges::partial_sort_copy(by_size_, largest, std::greater<>());
  std::vector<pid_t> members(largest.size());
  std::ranges::transform(largest, members.begin(), &std::pair<Bytes, pid_t>::second);
  for (const pid_t member : members_) {
    if (members.size() >= std::min(count, members_.size())) {
      break;
    }
    if (std::ranges::find(members, member) == members.end()) {
      members.push_back(member);
    }
  }
  return members;
}

void ResourceMonitor::account() {
  // What has ended was waited for by a member or by the init, and counts there.
  double cpu_seconds = 0;
  reaped_cpu_seconds_ = 0;
  std::optional<os::ProcessIo> io;
  const auto add = [&io](const std::optional<os::ProcessIo>& one) {
    if (one) {
      const os::ProcessIo before = io.value_or(os::ProcessIo{});
      io = {.read = before.read + one->read, .written = before.written + one->written};
    }
  };
  threads_ = 0;
  add(view_.io(options_.root));
  if (const std::optional<os::ProcessStat> init = view_.stat(options_.root)) {
    cpu_seconds += init->reaped_cpu_seconds;
    reaped_cpu_seconds_ += init->reaped_cpu_seconds;
  }
  for (const pid_t pid : members_) {
    add(view_.io(pid));
    if (const std::optional<os::ProcessStat> stat = view_.stat(pid)) {
      cpu_seconds += stat->cpu_seconds + stat->reaped_cpu_seconds;
      reaped_cpu_seconds_ += stat->reaped_cpu_seconds;
      threads_ += stat->threads;
    }
  }
  metrics_.cpu_seconds = std::max(metrics_.cpu_seconds, cpu_seconds);
  metrics_.max_threads = std::max(metrics_.max_threads, threads_);
  if (io) {
    const os::ProcessIo most = metrics_.io.value_or(os::ProcessIo{});
    metrics_.io = {.read = std::max(most.read, io->read),
                   .written = std::max(most.written, io->written)};
  }
}

void ResourceMonitor::scan_descriptors(MonotonicTime now, Look look) {
  files_.clear();
  files_size_ = {};
  bool hidden = false;
  std::set<os::FileId> seen = options_.shared_files;
  for (const pid_t pid : members_) {
    const std::optional<std::vector<os::MemoryFile>> files = view_.memory_files(pid);
    hidden |= !files.has_value();
    for (const os::MemoryFile& file : files.value_or(std::vector<os::MemoryFile>{})) {
      if (!in_scratch(file.file) && seen.insert(file.file).second) {
        files_.push_back(file);
        files_size_ = files_size_ + file.allocated;
      }
    }
  }
  if (look == Look::WhenDue) {  // patience is a matter of time
    hidden_in_a_row_ = hidden ? hidden_in_a_row_ + 1 : 0;
  }
  if (options_.kernel_holds_memory) {
    return;
  }
  const auto counted = [&](const os::FileId& id) { return in_scratch(id) || seen.contains(id); };
  if (look == Look::Afresh) {
    hidden_.look_afresh(view_, members_, counted, now);
  } else {
    hidden_.look(view_, members_, counted, now);
  }
}

Bytes ResourceMonitor::inherited(MonotonicTime now) {
  if (options_.shared_files.empty() || (next_inherited_ && now < *next_inherited_)) {
    return inherited_;
  }
  const std::chrono::nanoseconds before = thread_cpu_time();
  inherited_ = {};
  for (const pid_t pid : members_) {
    const auto mappings = view_.mappings(pid);
    for (const os::Mapping& mapping : mappings.value_or(std::vector<os::Mapping>{})) {
      if (options_.shared_files.contains(mapping.file)) {
        inherited_ = inherited_ + mapping.resident - mapping.anonymous;
      }
    }
  }
  const std::chrono::nanoseconds cost = thread_cpu_time() - before;
  next_inherited_ = now + std::max(kInheritedRest, kInheritedShare * cost);
  return inherited_;
}

/// Less what it counts twice, and what was handed in, as was last known.
Bytes ResourceMonitor::net_sum(const CheapSum& visible) const {
  return cheap_sum(visible) - counted_twice_ - inherited_;
}

Bytes ResourceMonitor::cheap_sum(const CheapSum& visible) const {
  return visible.anonymous + visible.shared + hidden_.beyond(visible.shared) + files_size_ +
         scratch_used_;
}

/// The cheap sum where it is below the limit or counts no page twice; otherwise the exact one,
/// between two exact probes corrected by the growth since.
Bytes ResourceMonitor::settle(const CheapSum& visible, MonotonicTime now) {
  Bytes cheap = cheap_sum(visible);
  const bool may_count_twice =
      members_.size() > 1 || !files_.empty() || !hidden_.files().empty() || scratch_used_ > Bytes{};
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
  const std::chrono::nanoseconds before = thread_cpu_time();
  if (!hidden_.files().empty()) {  // as of an earlier look: they may be gone, or open by now
    scan_descriptors(now, Look::Afresh);
    cheap = cheap_sum(visible);
  }
  std::ranges::sort(by_size_, std::greater<>());
  Bytes measured = cheap;
  const AloneSum known = cheap > options_.memory_limit && by_size_.size() >= kMany
                             ? sum_alone(view_, by_size_, options_.memory_limit)
                             : AloneSum{};
  if (known.above) {
    measured = known.extrapolated;
  } else if (known.of_those_read.count > options_.memory_limit.count / 100 * kNearly &&
             nearly_above_ < kNearlyLooks) {
    ++nearly_above_;  // if it grows, the next look will prove it long before an exact probe is done
    return options_.memory_limit;
  } else if (cheap > options_.memory_limit) {
    nearly_above_ = 0;
    const ExactSum first = exact(cheap);
    measured = first.sum;
    if (measured > options_.memory_limit && !first.sure) {
      // Sharers that come and go while they are read one by one make a sum that never was.
      measured = std::min(measured, exact(cheap).sum);
    }
    counted_twice_ = std::max(Bytes{}, cheap - measured);
  }
  exact_cost_ = thread_cpu_time() - before;
  exact_at_ = now + (MonotonicClock::now() - started);
  return measured;
}

ExactSum ResourceMonitor::exact(Bytes cheap) {
  const ExactSum exact = sum_exactly(view_, by_size_,
                                     {.limit = options_.memory_limit,
                                      .cheap = cheap,
                                      .scratch = scratch_,
                                      .scratch_used = scratch_used_,
                                      .kernel_holds_memory = options_.kernel_holds_memory,
                                      .handed_in = options_.shared_files,
                                      .open = files_,
                                      .unopened = hidden_.files()});
  metrics_.hides_mappings |= exact.mappings_hidden;
  return exact;
}

}  // namespace keisei::guard
