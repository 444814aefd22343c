#include "guard/look_pace.h"

#include <algorithm>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

// How far above the limit a tree can get that only polling holds, at 3 GB/s of page touching by
// each of two processors. At the lower clamps the pace leaves 2 ms (12 MB) beyond the limit, and
// the guard may wake 4 ms late on a busy machine (12 MB) and a thread may run for a tick after
// SIGKILL (4 ms, 12 MB): 36 MB. Where pages may be shared, the exact probe comes on top, 15 ms for
// 500 MB of small pages (45 MB), and costs 0.1 MB more for each MB above that. On more processors
// the waits are so much shorter, the shortest only while the tree grows and as far as it has tasks
// to use them: one that rests near its limit is not looked at thousands of times a second, and
// sixteen tasks of it can take 96 MB in the 2 ms before they are seen to grow. One that has its
// size may go unseen for longer where it is still 120 MB from its limit after what it can take in
// that time: one that works may come as near in a single look of 20 ms.
constexpr double kTouchRate = 3e9;                   // bytes/s, of each processor
constexpr std::chrono::nanoseconds kShortest = 2ms;  // with two of them
constexpr std::chrono::nanoseconds kLongest = 20ms;
constexpr std::chrono::nanoseconds kLongestSettled = 40ms;
constexpr auto kCommonIntervals = {kLongestSettled, kLongest};
constexpr unsigned kTwo = 2;  // processors
constexpr std::chrono::nanoseconds kShortestScan = 2ms;
constexpr std::chrono::nanoseconds kLongestScan = 100ms;
constexpr std::chrono::nanoseconds kTurn = 3ms;  // of each task that waits for a processor
constexpr Bytes kFar = megabytes(120);           // below the limit: 20 ms at 6 GB/s

std::chrono::nanoseconds pace(Bytes headroom, unsigned processors,
                              std::chrono::nanoseconds shortest, std::chrono::nanoseconds longest) {
  const double left =
      std::max(0.0, static_cast<double>(headroom.count)) / (kTouchRate * processors);
  const auto wait = std::chrono::nanoseconds(static_cast<std::int64_t>(left * 1e9));
  return std::clamp(wait, shortest, longest);
}

}  // namespace

LookPace::LookPace(Bytes limit, unsigned processors)
    : limit_(limit), processors_(std::max(kTwo, processors)) {}

std::chrono::nanoseconds LookPace::until_next_look(const Tree& tree) const {
  const auto busy = tree.grows ? std::clamp<std::size_t>(tree.tasks, kTwo, processors_) : kTwo;
  const auto wait = pace(limit_ - tree.memory, processors_, kShortest * kTwo / busy, kLongest);
  return tree.settled ? std::max(wait, until_next_look_settled(tree.memory)) : wait;
}

std::chrono::nanoseconds LookPace::until_next_look_settled(Bytes memory) const {
  return pace(limit_ - memory - kFar, processors_, 0ns, kLongestSettled);
}

std::chrono::nanoseconds LookPace::until_next_scan(Bytes memory) const {
  return pace(limit_ - memory, processors_, kShortestScan, kLongestScan);
}

bool LookPace::is_far(Bytes memory) const { return memory + kFar <= limit_; }

Bytes LookPace::taken_while_all_run(std::size_t tasks) {
  const double taken = kTouchRate * seconds(kTurn) * static_cast<double>(tasks);
  return std::max(kFar, Bytes{static_cast<std::int64_t>(taken)});
}

MonotonicTime next_common_instant(MonotonicTime now, std::chrono::nanoseconds wait) {
  const MonotonicTime next = now + wait;
  for (const auto common : kCommonIntervals) {
    if (wait >= common) {
      return next - next.time_since_epoch() % common;
    }
  }
  return next;
}

}  // namespace keisei::guard
