#include "guard/tier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

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

TEST(Tier, NeverClaimsWhatIsNotThere) {
  GuardedCommand command;
  command.profile = Profile::Command;
  const Tier bare = describe_tier(command, {}, os::Containment::Sweep);
  EXPECT_THAT(bare.not_enforced, testing::Contains(testing::HasSubstr("no pid namespace")));
  EXPECT_THAT(bare.not_enforced, testing::Contains(testing::HasSubstr("kills its init")));
  EXPECT_THAT(bare.not_enforced, testing::Contains(testing::HasSubstr("seccomp")));
  EXPECT_THAT(bare.not_enforced, testing::Contains(testing::HasSubstr("in flight")));
  const Tier worker = describe_tier({}, {}, os::Containment::PidNamespace);
  EXPECT_THAT(worker.not_enforced, testing::Contains(testing::HasSubstr("/dev/shm")));
  EXPECT_THAT(worker.not_enforced, testing::Not(testing::Contains(testing::HasSubstr("flight"))));
  command.enforcement = Enforcement::Disabled;
  const Tier off = describe_tier(command, {}, os::Containment::PidNamespace);
  EXPECT_THAT(off.not_enforced, testing::Contains(testing::HasSubstr("timeout")));
  EXPECT_THAT(off.not_enforced, testing::Contains(testing::HasSubstr("memory")));
}

}  // namespace
}  // namespace keisei::guard
