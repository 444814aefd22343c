#include "guard/run_cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "guard/run_account.h"

namespace keisei::guard {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr EvaluationLimits kLimits = {.memory = megabytes(100)};

CgroupUse used() {
  return {.used = true, .holds_memory = true, .holds_tasks = 320, .started = true, .sealed = true};
}

TEST(RunCgroup, AKillOfTheKernelIsOverMemoryWithItsFigures) {
  CgroupUse use = used();
  use.account.oom_kills = 3;
  use.account.memory_peak = megabytes(100);
  const auto breach = cgroup_breach(use, kLimits, Profile::Command, std::nullopt);
  ASSERT_TRUE(breach);
  EXPECT_EQ(breach->outcome, Outcome::OverMemory);
  EXPECT_EQ(breach->metric, "memory_mb");
  EXPECT_EQ(breach->value, 100);
  EXPECT_EQ(breach->limit, 100);
  use.holds_memory = false;  // then it was another limit, further up
  EXPECT_FALSE(cgroup_breach(use, kLimits, Profile::Command, std::nullopt));
}

TEST(RunCgroup, RefusedForksMatterOnlyBeforeAnAbnormalEnd) {
  CgroupUse use = used();
  use.account.refused_tasks = 7;
  const os::ExitStatus good{.code = 0, .signal = std::nullopt};
  const os::ExitStatus failed{.code = 1, .signal = std::nullopt};
  const os::ExitStatus killed{.code = std::nullopt, .signal = SIGABRT};
  EXPECT_FALSE(cgroup_breach(use, kLimits, Profile::Worker, good));
  EXPECT_FALSE(cgroup_breach(use, kLimits, Profile::Command, failed));  // its own code is its own
  EXPECT_FALSE(cgroup_breach(use, kLimits, Profile::Worker, std::nullopt));
  for (const auto& exit : {failed, killed}) {
    const auto breach = cgroup_breach(use, kLimits, Profile::Worker, exit);
    ASSERT_TRUE(breach);
    EXPECT_EQ(breach->outcome, Outcome::OverProcesses);
    EXPECT_EQ(breach->limit, 320);
    EXPECT_GT(breach->value, breach->limit);
  }
  use.account.refused_tasks = 0;
  EXPECT_FALSE(cgroup_breach(use, kLimits, Profile::Worker, killed));
}

TEST(RunCgroup, TheTierSaysWhatTheCgroupHolds) {
  Tier tier{.enforced = {"cpu: stop and continue"},
            .not_enforced = {"cpu: unwaited children", "memory: pipes", "files: all"}};
  CgroupUse use = used();
  use.holds_cpu = true;
  describe_cgroup(use, tier);
  EXPECT_THAT(tier.enforced,
              Contains(HasSubstr("cgroup v2: memory.max, memory.oom.group, pids.max")));
  EXPECT_THAT(tier.enforced, Contains(HasSubstr("cpu.max")));
  EXPECT_THAT(tier.enforced, Not(Contains(HasSubstr("stop and continue"))));
  EXPECT_THAT(tier.not_enforced, testing::ElementsAre("files: all"));
}

TEST(RunCgroup, TheTierSaysWhoeverMayChangeItsLimits) {
  const auto says = [](bool sealed, std::vector<std::string> enforced) {
    Tier tier{.enforced = std::move(enforced), .not_enforced = {}};
    CgroupUse use = used();
    use.sealed = sealed;
    describe_cgroup(use, tier);
    return !tier.not_enforced.empty();
  };
  EXPECT_TRUE(says(false, {"file size: RLIMIT_FSIZE"}));
  EXPECT_FALSE(says(true, {"file size: RLIMIT_FSIZE"}));
  EXPECT_FALSE(says(false, {"files: read-only mounts"}));
}

TEST(RunCgroup, WhatTheSamplesMissedIsSaidAlsoBesideACgroup) {
  Tier tier;
  describe_cgroup(used(), tier);
  PerformanceMetrics metrics;
  metrics.samples_in_part = 3;
  metrics.uncounted = Uncounted::TooMany;
  describe_watching(metrics, true, tier);
  EXPECT_THAT(tier.not_enforced, testing::ElementsAre(HasSubstr("3 samples missed a part"),
                                                      HasSubstr("more than is looked through")));
  const std::vector<std::string> before = tier.not_enforced;
  describe_cgroup(used(), tier);
  EXPECT_EQ(tier.not_enforced, before);  // whichever comes first
}

TEST(RunCgroup, TheTierSaysWhyThereIsNone) {
  Tier tier{.enforced = {"cpu: stop and continue"}, .not_enforced = {"memory: pipes"}};
  describe_cgroup({.why_not = "no reason"}, tier);
  EXPECT_THAT(tier.not_enforced, Contains("cgroup: not used: no reason"));
  EXPECT_THAT(tier.not_enforced, Contains("memory: pipes"));
  EXPECT_THAT(tier.enforced, Contains("cpu: stop and continue"));
  EXPECT_FALSE(cgroup_record({}));
}

TEST(RunCgroup, WithoutNamespacesOrARoomThereIsNoCgroup) {
  GuardedCommand command;
  RunCgroup none(nullptr, command, kLimits);
  EXPECT_EQ(none.directory_fd(), -1);
  EXPECT_FALSE(none.holds_cpu());
  const CgroupRoom room{.tree = std::nullopt, .why_not = "version 1 only"};
  EXPECT_EQ(RunCgroup(&room, command, kLimits).close().why_not, "version 1 only");
  command.containment = Containment::Bare;
  EXPECT_THAT(RunCgroup(&room, command, kLimits).close().why_not, HasSubstr("switched off"));
}

}  // namespace
}  // namespace keisei::guard
