#include "os/cgroup_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace keisei::os {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kPure =
    "30 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
constexpr const char* kHybrid =
    "31 24 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
    "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 31 0:30 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw,nsdelegate\n";

/// A host of files: what is parsed and judged, not what a kernel does (tests/vm does that).
class CgroupPlaces : public testing::Test {
 protected:
  CgroupPlaces() {
    std::string pattern = (fs::temp_directory_path() / "keisei-cgroup-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    host_.root = root_;
    host_.account = geteuid();
    write("proc/self/mountinfo", kPure);
    cgroup("");
    fs::remove(root_ / "sys/fs/cgroup/cgroup.type");  // as in the kernel's root
  }
  ~CgroupPlaces() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void cgroup(const std::string& path, const std::string& controllers = "cpu memory pids\n") {
    const std::string base = "sys/fs/cgroup" + path + "/";
    write(base + "cgroup.controllers", controllers);
    for (const char* file : {"cgroup.type", "cgroup.procs", "cgroup.subtree_control"}) {
      write(base + file, "");
    }
  }
  void live_in(const std::string& path) { write("proc/self/cgroup", "0::" + path + "\n"); }
  std::string reason() const {
    const auto place = find_delegated_cgroup(host_);
    return place ? "delegated" : place.error().message;
  }

  fs::path root_;
  CgroupHost host_;
};

TEST_F(CgroupPlaces, ACgroupWithTheControllerCpuTakesSessionsTheirWeight) {
  cgroup("/a/b");
  live_in("/a/b");
  EXPECT_FALSE(is_weighed_by_cgroup(host_));
  write("sys/fs/cgroup/a/cpu.weight", "100\n");  // of the one above
  EXPECT_TRUE(is_weighed_by_cgroup(host_));
  live_in("/");
  EXPECT_FALSE(is_weighed_by_cgroup(host_));
}

TEST_F(CgroupPlaces, SoDoesVersion1BelowItsRoot) {
  EXPECT_TRUE(is_weighed_by_version_1("4:memory:/a\n2:cpu,cpuacct:/docker/1\n0::/\n"));
  EXPECT_FALSE(is_weighed_by_version_1("4:memory:/a\n2:cpu,cpuacct:/\n0::/a\n"));
  EXPECT_FALSE(is_weighed_by_version_1("3:cpuset:/a\n1:name=cpu:/a\nbroken\n\n"));
  write("proc/self/cgroup", "1:cpu:/a\n0::/\n");
  EXPECT_TRUE(is_weighed_by_cgroup(host_));
}

TEST_F(CgroupPlaces, OurOwnCgroupIsOursWithoutPrivilegeOnly) {
  cgroup("/training");
  live_in("/training");
  host_.account = geteuid();
  if (geteuid() == 0) {
    EXPECT_THAT(reason(), HasSubstr("was not given"));
    return;
  }
  const auto place = find_delegated_cgroup(host_);
  ASSERT_TRUE(place) << place.error().message;
  EXPECT_EQ(place->directory, root_ / "sys/fs/cgroup/training");
  EXPECT_TRUE(place->cpu);
  EXPECT_TRUE(place->occupied);
}

TEST_F(CgroupPlaces, ANamedSubtreeIsOursAndTheLeafInItIsNotItsRoot) {
  cgroup("/training", "memory pids\n");
  cgroup("/training/keisei-supervisor");
  host_.named = "/sys/fs/cgroup/training";
  live_in("/training/keisei-supervisor");
  const auto place = find_delegated_cgroup(host_);
  ASSERT_TRUE(place) << place.error().message;
  EXPECT_EQ(place->directory, root_ / "sys/fs/cgroup/training");
  EXPECT_FALSE(place->cpu);
  EXPECT_FALSE(place->occupied);
  live_in("/training");
  EXPECT_TRUE(find_delegated_cgroup(host_)->occupied);
}

TEST_F(CgroupPlaces, WhatIsNamedMustBeACgroupOfThisHierarchy) {
  live_in("/");
  for (const char* named : {"/tmp", "/sys/fs/cgroup/missing", "/sys/fs/cgroup/../..", "/"}) {
    host_.named = named;
    EXPECT_THAT(reason(), HasSubstr("no directory of the cgroup v2")) << named;
  }
  host_.named = "relative";
  EXPECT_THAT(reason(), HasSubstr("absolute"));
  host_.named = "/sys/fs/cgroup";
  EXPECT_THAT(reason(), HasSubstr("nobody's"));
  host_.named = "off";
  EXPECT_THAT(reason(), HasSubstr("is off"));
}

TEST_F(CgroupPlaces, NothingIsTakenOnAHybridHostOrWithoutVersion2) {
  write("proc/self/mountinfo", kHybrid);
  write("proc/self/cgroup", "4:memory:/x\n1:cpu:/\n0::/x\n");
  write("sys/fs/cgroup/unified/x/cgroup.controllers", "\n");
  EXPECT_THAT(reason(), HasSubstr("no controllers memory and pids"));
  write("proc/self/mountinfo", "24 1 0:2 / / rw - ext4 /dev/x rw\n");
  EXPECT_THAT(reason(), HasSubstr("no cgroup v2 is mounted"));
}

TEST_F(CgroupPlaces, AHybridHostWhoseControllersAreOnVersion2Counts) {
  write("proc/self/mountinfo", kHybrid);
  write("proc/self/cgroup", "1:name=systemd:/\n0::/x\n");
  for (const char* file : {"cgroup.type", "cgroup.procs", "cgroup.subtree_control"}) {
    write(std::string("sys/fs/cgroup/unified/x/") + file, "");
  }
  write("sys/fs/cgroup/unified/x/cgroup.controllers", "memory pids\n");
  host_.named = "/sys/fs/cgroup/unified/x";
  EXPECT_EQ(reason(), "delegated");
}

TEST_F(CgroupPlaces, AGuardedRunMakesNoCgroupsItself) {
  cgroup("/training");
  cgroup("/training/keisei-run-1-0");
  host_.named = "/sys/fs/cgroup/training";
  live_in("/training/keisei-run-1-0");
  EXPECT_THAT(reason(), HasSubstr("in a guarded run itself"));
  // Seen from its own cgroup namespace.
  write("proc/self/mountinfo", "30 24 0:27 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  live_in("/");
  EXPECT_THAT(reason(), HasSubstr("outside of what is mounted"));
}

CgroupCandidate plain() {
  return {.directory = "/x", .memory = true, .pids = true, .owned = true, .writable = true};
}

TEST(CgroupRule, AnAccountOwnsWhatWasHandedToIt) {
  EXPECT_FALSE(why_not_ours(plain()));
  CgroupCandidate candidate = plain();
  candidate.owned = false;
  EXPECT_THAT(why_not_ours(candidate).value_or(""), HasSubstr("not given"));
  candidate = plain();
  candidate.writable = false;
  EXPECT_THAT(why_not_ours(candidate).value_or(""), HasSubstr("may not write"));
}

TEST(CgroupRule, RootNeedsANameOrAMark) {
  CgroupCandidate candidate = plain();
  candidate.privileged = true;
  EXPECT_THAT(why_not_ours(candidate).value_or(""), HasSubstr("not given"));
  candidate.named = true;
  EXPECT_FALSE(why_not_ours(candidate));
  candidate.named = false;
  candidate.in_unit = candidate.is_unit = candidate.unit_delegated = true;
  EXPECT_FALSE(why_not_ours(candidate));
  candidate.is_unit = false;  // somebody else divided that unit
  EXPECT_TRUE(why_not_ours(candidate));
}

TEST(CgroupRule, AUnitOfSystemdNeedsItsMark) {
  CgroupCandidate candidate = plain();
  candidate.in_unit = candidate.is_unit = true;  // of the user's own systemd: owned, not delegated
  EXPECT_THAT(why_not_ours(candidate).value_or(""), HasSubstr("Delegate=yes"));
  candidate.unit_delegated = true;
  EXPECT_FALSE(why_not_ours(candidate));
  candidate.owned = false;
  EXPECT_FALSE(why_not_ours(candidate));
}

TEST(CgroupRule, TheRootIsNobodysAndBothControllersAreNeeded) {
  CgroupCandidate candidate = plain();
  candidate.named = true;
  candidate.hierarchy_root = true;
  EXPECT_THAT(why_not_ours(candidate).value_or(""), HasSubstr("nobody's"));
  candidate = plain();
  candidate.pids = false;
  EXPECT_THAT(why_not_ours(candidate).value_or(""), HasSubstr("memory and pids"));
  candidate = plain();
  candidate.memory = false;
  EXPECT_TRUE(why_not_ours(candidate));
}

TEST(CgroupParsers, ReadTheMountAndTheOwnPath) {
  const auto mount = parse_cgroup_mount(kHybrid);
  ASSERT_TRUE(mount);
  EXPECT_EQ(mount->point, "/sys/fs/cgroup/unified");
  EXPECT_EQ(mount->root, "/");
  EXPECT_TRUE(mount->nsdelegate);
  const auto plain =
      parse_cgroup_mount("30 23 0:26 / /cgroup rw - cgroup2 none rw,memory_localevents\n");
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->nsdelegate);
  EXPECT_FALSE(parse_cgroup_mount("garbage\n\n - cgroup2\n1 2 - cgroup2\n"));
  EXPECT_EQ(parse_own_cgroup("4:memory:/a\n0::/b/c\n"), "/b/c");
  EXPECT_FALSE(parse_own_cgroup("4:memory:/a\n"));
  EXPECT_FALSE(parse_own_cgroup("0::\n"));
  EXPECT_TRUE(has_controller("cpu memory pids\n", "pids"));
  EXPECT_FALSE(has_controller("memory_recursive pidss\n", "pids"));
}

}  // namespace
}  // namespace keisei::os
