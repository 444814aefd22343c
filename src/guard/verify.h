#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guard/attack_plan.h"
#include "guard/record.h"

// The judgement of `keisei verify`: from what an attack left to «proven» or «not proven». Pure.
//
//   Attack + AttackEvidence --judge--> Finding --verdict_of(all)--> exit code
namespace keisei::guard {

enum class Proof {
  Proven,
  NotProven,    ///< the promise was broken
  NotMeasured,  ///< nothing can attack it yet: neither a pass nor a failure
  NotRun,       ///< the attack could not be made
};
[[nodiscard]] std::string_view to_string(Proof proof);

/// When a harmless run lived, on the monotonic clock.
struct Interval {
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
};
/// «<begin> <end>\n», as keisei-attack's hold reports it.
[[nodiscard]] std::optional<Interval> parse_interval(std::string_view text);
/// The most that lived at one instant.
[[nodiscard]] int most_at_once(std::span<const Interval> intervals);

/// What is known when an attack is over.
struct AttackEvidence {
  GuardRecord record;               ///< of the first copy
  std::string said;                 ///< by the attack, in one line
  std::vector<GuardRecord> others;  ///< of further copies and companions
  std::vector<Interval> intervals;  ///< of the copies that reported one
  int survivors = 0;                ///< processes of the attack that outlived its run
  int free_slots = 0;               ///< of limits.max_concurrent
  int files_left = 0;               ///< in the attack's directory
  int descriptors_left = 0;         ///< more are open in this process than before
  bool host_has_gpu = false;
};

struct Finding {
  Proof proof = Proof::NotRun;
  std::string sentence;  ///< the evidence, for people
};

[[nodiscard]] Finding judge(const Attack& attack, const AttackEvidence& evidence);

/// How much of the tree's peak was above its limit.
[[nodiscard]] Bytes overshoot(const GuardRecord& record);

/// The worst of all: NotProven, then NotRun, then Proven; NotMeasured does not count.
[[nodiscard]] Proof verdict_of(std::span<const Proof> proofs);

}  // namespace keisei::guard
