#include "guard/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace keisei::guard {
namespace {

using testing::HasSubstr;

/// A host on which everything holds.
HostFacts good_host() {
  HostFacts facts;
  facts.outside = parse_inspection(
      "pid_namespace pid:[1]\nuser_namespace user:[2]\nmount_namespace mnt:[3]\n"
      "network_namespace net:[4]\ncgroup 0::/user.slice\n");
  facts.worker = parse_inspection(
      "pid_namespace pid:[11]\nuser_namespace user:[12]\nmount_namespace mnt:[13]\n"
      "network_namespace net:[14]\ncgroup 0::/user.slice/run\nlimit_data 500000000\n"
      "limit_tasks 96\nseccomp 2\nwrite_outside 30\nscratch /dev/shm\nscratch_type 1021994\n"
      "scratch_bytes 64000000\n");
  facts.slack = parse_inspection("autogroup /autogroup-7 nice 19\nidle_class 1\n");
  facts.tier.enforced = {"processes: sampled, pid_max of the namespace",
                         "files: Landlock ABI 6, no write", "scratch: 64 MB",
                         "cgroup: memory.max, pids.max"};
  facts.threads_refused = "the kernel refused thread 97";
  facts.landlock_abi = 6;
  facts.cgroup_mounted = true;
  facts.autogroup = true;
  facts.pressure = true;
  facts.pidfd = true;
  facts.gpu_present = true;
  facts.gpu = "1 by NVML";
  return facts;
}

Mechanism row(const HostFacts& facts, std::string_view name) {
  const std::vector<Mechanism> rows = diagnose(facts);
  const auto found = std::ranges::find(rows, name, &Mechanism::name);
  EXPECT_NE(found, rows.end()) << name;
  return found == rows.end() ? Mechanism{} : *found;
}

TEST(Doctor, NothingIsAbsentOnAHostThatHasAll) {
  for (const Mechanism& mechanism : diagnose(good_host())) {
    EXPECT_NE(mechanism.standing, Standing::Absent) << mechanism.name << ": " << mechanism.why;
  }
}

TEST(Doctor, ATrainingIsHeldByStopsAloneWhereSessionsHaveNoWeights) {
  HostFacts facts = good_host();
  EXPECT_EQ(row(facts, "training impact").remedy, "");
  facts.slack->insert_or_assign("autogroup", "/autogroup-7 nice 0");  // as in a cgroup
  EXPECT_EQ(row(facts, "training impact").standing, Standing::MeasuredOnly);
  EXPECT_THAT(row(facts, "training impact").why, HasSubstr("stopping evaluations alone"));
  EXPECT_THAT(row(facts, "autogroup").why, HasSubstr("controller cpu"));
  EXPECT_THAT(row(facts, "training impact").remedy, HasSubstr("Delegate=yes"));
  facts.cgroup_weighs = true;
  EXPECT_THAT(row(facts, "training impact").why, HasSubstr("lowering their weight"));
  EXPECT_THAT(row(facts, "autogroup").remedy, HasSubstr("own cgroup"));
  const HostFacts weighed = facts;
  facts.worker->insert_or_assign("cgroup", "0::/user.slice");  // given, and not used
  EXPECT_THAT(row(facts, "training impact").why, HasSubstr("stopping evaluations alone"));
  facts = weighed;
  facts.cgroup_weighs = false;
  facts.autogroup = false;
  EXPECT_THAT(row(facts, "training impact").remedy, HasSubstr("sched_autogroup_enabled"));
}

TEST(Doctor, WhatIsAbsentNamesWhatWouldImproveItOrThatNothingIsKnownTo) {
  for (const bool privileged : {false, true}) {
    for (const int landlock_abi : {0, 4}) {
      HostFacts facts;  // all was tried, and nothing is there
      facts.worker.emplace();
      facts.slack.emplace();
      facts.privileged = privileged;
      facts.landlock_abi = landlock_abi;
      facts.namespaces_remedy = "sysctl -w user.max_user_namespaces=15000";
      int absent = 0;
      for (const Mechanism& mechanism : diagnose(facts)) {
        absent += mechanism.standing == Standing::Absent ? 1 : 0;
        EXPECT_TRUE(mechanism.standing != Standing::Absent || !mechanism.remedy.empty())
            << mechanism.name << ": " << mechanism.why;
      }
      EXPECT_GT(absent, 10);
    }
  }
}

TEST(Doctor, ANamespaceThatIsTheSameInsideIsAbsentWhateverTheSwitchesSay) {
  HostFacts facts = good_host();
  facts.worker->insert_or_assign("pid_namespace", "pid:[1]");
  facts.namespaces_remedy = "sysctl -w user.max_user_namespaces=15000";
  EXPECT_EQ(row(facts, "pid namespace").standing, Standing::Absent);
  EXPECT_EQ(row(facts, "pid namespace").remedy, "sysctl -w user.max_user_namespaces=15000");
}

TEST(Doctor, AKernelThatHasLandlockDoesNotMeanThatTheJailUsesIt) {
  HostFacts facts = good_host();
  std::erase(facts.tier.enforced, "files: Landlock ABI 6, no write");
  EXPECT_EQ(row(facts, "Landlock").standing, Standing::Absent);
  EXPECT_THAT(row(facts, "Landlock").why, HasSubstr("did not use it"));
}

TEST(Doctor, AnOldLandlockIsEnforcedWithARemedy) {
  HostFacts facts = good_host();
  facts.landlock_abi = 3;
  EXPECT_EQ(row(facts, "Landlock").standing, Standing::Enforced);
  EXPECT_THAT(row(facts, "Landlock").remedy, HasSubstr("kernel"));
}

TEST(Doctor, WithoutACgroupTheTreesMemoryIsMeasuredOnly) {
  HostFacts facts = good_host();
  facts.worker->insert_or_assign("cgroup", "0::/user.slice");
  facts.cgroup_reason = "/sys/fs/cgroup/user.slice was not given to this account";
  EXPECT_EQ(row(facts, "cgroup v2").standing, Standing::Absent);
  EXPECT_THAT(row(facts, "cgroup v2").remedy, HasSubstr("Delegate=yes"));
  EXPECT_EQ(row(facts, "memory, the tree").standing, Standing::MeasuredOnly);
  EXPECT_THAT(row(facts, "memory, the tree").why, testing::Not(HasSubstr("of a command")));
  facts.tier.not_enforced = {"memory: without a cgroup, shared memory that is mapped"};
  EXPECT_THAT(row(facts, "memory, the tree").why, HasSubstr("not at all of a command"));
  facts.cgroup_mounted = false;
  EXPECT_THAT(row(facts, "cgroup v2").remedy, HasSubstr("unified_cgroup_hierarchy"));
}

TEST(Doctor, ProcessLimitsThatRefusedNobodyAreMeasuredOnly) {
  HostFacts facts = good_host();
  facts.threads_refused.reset();
  EXPECT_EQ(row(facts, "process limit").standing, Standing::MeasuredOnly);
}

TEST(Doctor, RlimitNprocDoesNotHoldRoot) {
  HostFacts facts = good_host();
  facts.privileged = true;
  EXPECT_EQ(row(facts, "RLIMIT_NPROC").standing, Standing::Absent);
  EXPECT_THAT(row(facts, "RLIMIT_NPROC").remedy, HasSubstr("ordinary user"));
}

TEST(Doctor, AFileThatCouldBeWrittenOutsideIsSaid) {
  HostFacts facts = good_host();
  facts.worker->insert_or_assign("write_outside", "0");
  EXPECT_EQ(row(facts, "files outside").standing, Standing::Absent);
}

TEST(Doctor, AutogroupThatIsOffHasItsSwitchAsRemedy) {
  HostFacts facts = good_host();
  facts.autogroup = false;
  facts.slack->insert_or_assign("autogroup", "");
  EXPECT_EQ(row(facts, "autogroup").standing, Standing::Absent);
  EXPECT_THAT(row(facts, "autogroup").remedy, HasSubstr("sched_autogroup_enabled=1"));
}

TEST(Doctor, WithoutAJailNothingThatWasNotTriedIsClaimed) {
  HostFacts facts = good_host();
  facts.worker.reset();
  facts.slack.reset();
  facts.tier = {};
  facts.threads_refused.reset();
  facts.failure = "setting up the jail: fork";
  for (const char* name : {"pid namespace", "seccomp", "Landlock", "cgroup v2", "SCHED_IDLE",
                           "memory, one process", "memory, the tree"}) {
    EXPECT_EQ(row(facts, name).standing, Standing::Absent) << name;
    EXPECT_THAT(row(facts, name).why, HasSubstr("setting up the jail: fork")) << name;
  }
}

TEST(Doctor, AnInspectionIsKeyAndRest) {
  const Inspection inspection = parse_inspection("a b c \nempty\nseccomp 2\n");
  EXPECT_EQ(inspection.find("a")->second, "b c");
  EXPECT_EQ(inspection.size(), 2U);
}

}  // namespace
}  // namespace keisei::guard
