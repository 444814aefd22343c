#include "guard/resource_monitor.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

#include "base/thread_cpu_time.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

// How far above the limit a tree can get that only polling holds, at 3 GB/s of page touching by
// each of two processors: that rate is assumed, so the headroom is never used up before the next
// look while the wait is not clamped from below. At the lower clamps that leaves 2 ms (12 MB)
// beyond the limit, and the guard may wake 4 ms late on a busy machine (12 MB) and a thread may run
// for a tick after SIGKILL (4 ms, 12 MB): 36 MB. Where pages may be shared, the exact probe comes
// on top, 15 ms for 500 MB of small pages (45 MB), and costs 0.1 MB more for each MB above that. On
// more processors the waits are so much shorter, the shortest only while the tree grows and as far
// as it has tasks to use them: one that rests near its limit is not looked at thousands of times a
// second, and sixteen tasks of it can take 96 MB in the 2 ms before they are seen to grow. One that
// has its size may go unseen for longer where it is still 120 MB from its limit after what it can
// take in that time: one that works may come as near in a single look of 20 ms.
constexpr double kTouchRate = 3e9;                   // bytes/s, of each processor
constexpr std::chrono::nanoseconds kShortest = 2ms;  // with two of them
constexpr std::chrono::nanoseconds kLongest = 20ms;
constexpr std::chrono::nanoseconds kLongestSettled = 40ms;
constexpr unsigned kTwo = 2;  // processors
constexpr std::chrono::nanoseconds kShortestScan = 2ms;
constexpr std::chrono::nanoseconds kLongestScan = 100ms;
constexpr std::chrono::nanoseconds kLongestStill = 500ms;
constexpr int kHiddenPatience = 3;  // scans: a table may be unreadable for an instant, during exec
constexpr std::chrono::nanoseconds kUrgentRest = 20ms;  // at most, where growth was seen
constexpr std::chrono::nanoseconds kExactRest = 20ms;   // at least, where none was
constexpr int kExactShare = 4;                          // a rest is so many times the probe's cost
constexpr std::size_t kMany = 8;                        // processes
constexpr std::chrono::nanoseconds kTurn = 3ms;         // of each task that waits for a processor
constexpr Bytes kFar = megabytes(120);                  // below the limit: 20 ms at 6 GB/s
constexpr std::chrono::nanoseconds kLateness = 1ms;     // of a sample: costs the tree nothing
constexpr std::int64_t kNearly = 80;                    // percent of the limit
constexpr int kNearlyLooks = 3;
constexpr std::int64_t kHardlyShared = 98;  // percent of the cheap sum: no doubt that it is true
constexpr std::chrono::nanoseconds kInheritedRest = 250ms;
constexpr int kInheritedShare = 20;

std::chrono::nanoseconds pace(Bytes headroom, unsigned processors,
                              std::chrono::nanoseconds shortest, std::chrono::nanoseconds longest) {
  const double left =
      std::max(0.0, static_cast<double>(headroom.count)) / (kTouchRate * processors);
  const auto wait = std::chrono::nanoseconds(static_cast<std::int64_t>(left * 1e9));
  return std::clamp(wait, shortest, longest);
}

}  // namespace

ResourceMonitor::ResourceMonitor(os::ProcessView& view, Options options)
    : view_(view),
      options_(std::move(options)),
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
    next_scan_ = now + stood +
                 pace(options_.memory_limit - std::max(sample.memory, bound),
                      std::max(kTwo, options_.processors), kShortestScan, kLongestScan);
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
  const unsigned processors = std::max(kTwo, options_.processors);
  const std::size_t tasks = std::max(members_.size(), static_cast<std::size_t>(threads_));
  const auto busy = growth_.seen() ? std::clamp<std::size_t>(tasks, kTwo, processors) : kTwo;
  const auto wait =
      pace(options_.memory_limit - memory, processors, kShortest * kTwo / busy, kLongest);
  const bool settled = !growth_.seen() && !members_new_ && !leased_ && hidden_in_a_row_ == 0 &&
                       !hidden_.growth_of_host();
  return settled ? std::max(wait, settled_interval_at(memory)) : wait;
}

/// Of a tree that has its size; nothing near the limit.
std::chrono::nanoseconds ResourceMonitor::settled_interval_at(Bytes memory) const {
  return pace(options_.memory_limit - memory - kFar, std::max(kTwo, options_.processors), 0ns,
              kLongestSettled);
}

/// Rather early than late: a memfd that nobody maps makes nothing grow that is seen without a scan.
/// How long the next wait is depends on what this look sees.
bool ResourceMonitor::scan_is_due(MonotonicTime now) const {
  return !next_scan_ ||
         now + std::max(next_interval(), settled_interval_at(last_.memory)) > *next_scan_;
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

/// What may be taken while the guard waits behind every task of the tree: for the processor, or for
/// a lock that one of them holds who waits for it.
Bytes ResourceMonitor::unseen_growth() const {
  const auto tasks = static_cast<double>(
      std::max<std::size_t>(members_.size(), static_cast<std::size_t>(threads_)));
  return std::max(kFar, Bytes{static_cast<std::int64_t>(kTouchRate * seconds(kTurn) * tasks)});
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
         (growth_.seen() && believed + unseen_growth() > options_.memory_limit);
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
  return !in_doubt && used == used_ && now < next_full_ &&
         last_.memory + kFar <= options_.memory_limit && view_.shows_all_activity();
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
  Bytes measured = cheap;
  const Alone known = cheap > options_.memory_limit ? alone() : Alone{};
  if (known.above) {
    measured = known.extrapolated;
  } else if (known.sum.count > options_.memory_limit.count / 100 * kNearly &&
             nearly_above_ < kNearlyLooks) {
    ++nearly_above_;  // if it grows, the next look will prove it long before an exact probe is done
    return options_.memory_limit;
  } else if (cheap > options_.memory_limit) {
    nearly_above_ = 0;
    const Exact first = exact(cheap);
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

/// Of many processes the lists of their mappings take so long to read that a tree grows by hundreds
/// of megabytes meanwhile. What each has for itself alone is told in a fraction of that, and no
/// page that was one's alone can become another's who was there before; what it took after the
/// cheap look may be what another one gave up. Those that need not be read any more are taken to
/// share as those that were.
ResourceMonitor::Alone ResourceMonitor::alone() {
  Alone alone;
  if (by_size_.size() < kMany) {
    return alone;
  }
  std::ranges::sort(by_size_, std::greater<>());
  Bytes all;
  for (const auto& [size, pid] : by_size_) {
    all = all + size;
  }
  Bytes read;
  for (const auto& [size, pid] : by_size_) {
    if (const std::optional<os::AnonymousShare> share = view_.anonymous_share(pid)) {
      alone.sum = alone.sum + std::min(size, share->alone());
    }
    read = read + size;
    alone.above = alone.sum > options_.memory_limit;
    if (alone.above) {
      const double of_it = static_cast<double>(alone.sum.count) / static_cast<double>(read.count);
      alone.extrapolated = {static_cast<std::int64_t>(of_it * static_cast<double>(all.count))};
      return alone;
    }
  }
  return alone;
}

/// Largest first: a tree that shares hardly anything is known to be above the limit before all of
/// it is read, and then counts as the `cheap` sum.
ResourceMonitor::Exact ResourceMonitor::exact(Bytes cheap) {
  std::ranges::sort(by_size_, std::greater<>());
  Bytes sum = scratch_used_;
  Bytes told = scratch_used_;          // of it, by those that told what they share
  Bytes seen = scratch_used_;          // what the cheap sum has for these
  std::map<os::FileId, Bytes> mapped;  // part of each memory file that was counted
  for (const auto& [size, pid] : by_size_) {
    const auto mappings = view_.mappings(pid);
    if (!mappings) {  // what it shares is unknown: all of it counts as its own
      sum = sum + (options_.kernel_holds_memory ? Bytes{} : size);
      metrics_.hides_mappings |= !options_.kernel_holds_memory;
      continue;
    }
    const Bytes before = sum;
    for (const os::Mapping& mapping : *mappings) {
      const bool file =
          mapping.file.inode != 0 && (!mapping.shared_memory || in_scratch(mapping.file));
      if (file || options_.shared_files.contains(mapping.file)) {
        sum = sum + mapping.anonymous;
      } else {
        sum = sum + mapping.proportional;
        mapped[mapping.file] = mapped[mapping.file] + mapping.proportional;
      }
    }
    told = told + sum - before;
    seen = seen + size;
    if (told > options_.memory_limit && told.count > seen.count / 100 * kHardlyShared) {
      return {.sum = std::max(sum, cheap), .sure = true};
    }
  }
  for (const std::vector<os::MemoryFile>& files : {files_, hidden_.files()}) {
    for (const os::MemoryFile& file : files) {
      sum = sum + std::max(Bytes{}, file.allocated - mapped[file.file]);
    }
  }
  return {.sum = sum};
}

}  // namespace keisei::guard
