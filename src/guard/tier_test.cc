#include "guard/tier.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Tier, AWorkerGetsTheLimitsThatNobodyNamed) {
  const EvaluationLimits limits = with_profile_defaults({}, Profile::Worker);
  EXPECT_EQ(limits.processes, 64);
  EXPECT_EQ(limits.file_size, limits.memory);
  EXPECT_EQ(with_profile_defaults({.processes = 3}, Profile::Worker).processes, 3);
  EXPECT_FALSE(with_profile_defaults({}, Profile::Command).processes);
}

TEST(Tier, TheJailHoldsTheMemoryLimitUnlessEnforcementIsOff) {
  GuardedCommand command;
  EXPECT_EQ(jail_spec(command, {}).data_bytes, 500'000'000U);
  command.enforcement = Enforcement::Disabled;
  EXPECT_EQ(jail_spec(command, {}).data_bytes, os::kNoLimit);
}

TEST(Tier, TheJailDoesWithoutWhatIsKnockedOut) {
  GuardedCommand command;
  EXPECT_EQ(jail_spec(command, {}).without, 0U);
  command.without.mount_namespace = true;
  command.without.seccomp = true;
  EXPECT_EQ(jail_spec(command, {}).without,
            os::mechanism::kReadOnlyFiles | os::mechanism::kOwnProc | os::mechanism::kSeccomp);
}

TEST(Tier, SaysWhatACommandFindsInProc) {
  GuardedCommand command;
  command.profile = Profile::Command;
  const auto lines = [&command](os::Containment containment, std::uint32_t mechanisms) {
    const Tier tier = describe_tier(
        command, {}, os::JailHold{.containment = containment, .mechanisms = mechanisms}, true);
    return fmt::format("{}; not: {}", fmt::join(tier.enforced, "; "),
                       fmt::join(tier.not_enforced, "; "));
  };
  EXPECT_THAT(lines(os::Containment::PidNamespace, os::mechanism::kOwnProc),
              HasSubstr("/proc: its own processes"));
  EXPECT_THAT(lines(os::Containment::UserPidNamespace, 0),
              AllOf(HasSubstr("/proc: not its own"), Not(HasSubstr("its own processes"))));
  EXPECT_THAT(lines(os::Containment::Sweep, 0), Not(HasSubstr("/proc: ")));  // it is its own there
}

TEST(Tier, AScratchIsNeverLargerThanTheMemoryLimit) {
  GuardedCommand command;
  EXPECT_EQ(jail_spec(command, {}).scratch_bytes, 64'000'000U);
  EXPECT_EQ(jail_spec(command, {.memory = megabytes(10)}).scratch_bytes, 10'000'000U);
  command.profile = Profile::Command;
  EXPECT_EQ(jail_spec(command, {}).scratch_bytes, 0U);
}

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint32_t kAll = ~0U;

TEST(Tier, ACommandIsToldWhatItsProfileLeavesOpen) {
  GuardedCommand command;
  command.profile = Profile::Command;
  const Tier bare =
      describe_tier(command, {}, os::JailHold{os::Containment::Sweep, std::uint32_t{0}});
  EXPECT_THAT(bare.not_enforced, Contains(HasSubstr("no pid namespace")));
  EXPECT_THAT(bare.not_enforced, Contains(HasSubstr("kills its init")));
  EXPECT_THAT(bare.not_enforced, Contains(HasSubstr("seccomp")));
  EXPECT_THAT(bare.not_enforced, Contains(HasSubstr("in flight")));
  command.enforcement = Enforcement::Disabled;
  const Tier off = describe_tier(command, {}, os::JailHold{os::Containment::PidNamespace, kAll});
  EXPECT_THAT(off.not_enforced, Contains(HasSubstr("timeout")));
  EXPECT_THAT(off.not_enforced, Contains(HasSubstr("memory")));
}

TEST(Tier, SaysOfAWorkerWhatItsJailToldAndNothingElse) {
  const Tier full = describe_tier({}, {}, os::JailHold{os::Containment::PidNamespace, kAll, 6});
  EXPECT_THAT(full.enforced, Contains(HasSubstr("seccomp")));
  EXPECT_THAT(full.enforced, Contains(HasSubstr("Landlock ABI 6")));
  EXPECT_THAT(full.enforced, Contains(HasSubstr("read-only mounts")));
  EXPECT_THAT(full.enforced, Contains("scratch: 64 MB on /dev/shm, gone with the run"));
  EXPECT_THAT(full.not_enforced, Not(Contains(HasSubstr("flight"))));
  EXPECT_THAT(full.not_enforced, Not(Contains(HasSubstr("locks"))));
  EXPECT_THAT(full.not_enforced, Not(Contains(HasSubstr("writable"))));

  const Tier none =
      describe_tier({}, {}, os::JailHold{os::Containment::PidNamespace, std::uint32_t{0}});
  EXPECT_THAT(none.enforced, Not(Contains(HasSubstr("seccomp"))));
  EXPECT_THAT(none.enforced, Not(Contains(HasSubstr("Landlock"))));
  EXPECT_THAT(none.not_enforced, Contains(HasSubstr("system calls")));
  EXPECT_THAT(none.not_enforced, Contains("network: as for this user"));
  EXPECT_THAT(none.not_enforced, Contains(HasSubstr("flight")));
  EXPECT_THAT(none.not_enforced, Contains(HasSubstr("locks: on every file")));
  EXPECT_THAT(none.not_enforced, Contains(HasSubstr("processors of its own choice")));
  EXPECT_THAT(none.not_enforced, Contains("scratch: none"));
  EXPECT_THAT(none.not_enforced, Contains("files: readable and writable as for this user"));
  EXPECT_THAT(none.not_enforced, Contains(HasSubstr("/dev/shm")));
}

TEST(Tier, WithoutAFilterOfSystemCallsTheNamespaceIsWhatHoldsTheNetwork) {
  const std::uint32_t unfiltered = kAll & ~os::mechanism::kSeccomp;
  const Tier tier = describe_tier({}, {}, os::JailHold{os::Containment::PidNamespace, unfiltered});
  EXPECT_THAT(tier.enforced, Contains("network: own namespace, Landlock, no TCP"));
  EXPECT_THAT(tier.enforced, Contains("IPC objects: own namespace"));
}

TEST(Tier, SaysWhatHoldsSharedMemoryThatIsInNoPageTable) {
  const os::JailHold hold{os::Containment::PidNamespace, kAll};
  const auto line = HasSubstr("in no page table");
  EXPECT_THAT(describe_tier({}, {}, hold, true).not_enforced, Not(Contains(line)));
  EXPECT_THAT(describe_tier({}, {}, hold, false).not_enforced,
              Contains(testing::AllOf(line, HasSubstr("only bounded"))));
  GuardedCommand command;
  command.profile = Profile::Command;
  EXPECT_THAT(describe_tier(command, {}, hold, false).not_enforced,
              Contains(testing::AllOf(line, Not(HasSubstr("only bounded")))));
}

TEST(Tier, ClaimsNothingMoreWhereTheJailNeverTold) {
  const Tier early = describe_tier({}, {}, os::JailHold{os::Containment::PidNamespace});
  EXPECT_THAT(early.not_enforced, Contains("all else: the command never started"));
  EXPECT_THAT(early.enforced, Not(Contains(HasSubstr("seccomp"))));
}

TEST(Tier, ClaimsTheSessionsWeightOnlyWhereItIsInForce) {
  GuardedCommand command;
  command.scheduling = Scheduling::Slack;
  const os::JailHold idle{os::Containment::PidNamespace, os::mechanism::kIdleClass};
  EXPECT_THAT(describe_tier(command, {}, idle).enforced, Contains("scheduling: SCHED_IDLE"));
  const os::JailHold both{os::Containment::PidNamespace,
                          os::mechanism::kIdleClass | os::mechanism::kIdleSession};
  EXPECT_THAT(describe_tier(command, {}, both).enforced,
              Contains("scheduling: SCHED_IDLE, autogroup 19"));
}

}  // namespace
}  // namespace keisei::guard
