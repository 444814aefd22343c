#include "os/procfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "os/process_view.h"

namespace keisei::os {
namespace {

constexpr const char* kStat =
    "4711 (a ) R (b) S 12 4711 4711 0 -1 4194304 100 0 0 0 150 50 30 20 20 0 3 0 987654 "
    "1000000 200 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

TEST(Procfs, ReadsAStatWhoseNameHoldsParentheses) {
  const auto stat = parse_stat(kStat, 100);
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, 4711);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->parent, 12);
  EXPECT_EQ(stat->threads, 3);
  EXPECT_DOUBLE_EQ(stat->cpu_seconds, 2.0);
  EXPECT_DOUBLE_EQ(stat->reaped_cpu_seconds, 0.5);
  EXPECT_EQ(stat->start_ticks, 987654U);
}

TEST(Procfs, RefusesATruncatedStat) {
  EXPECT_FALSE(parse_stat("", 100));
  EXPECT_FALSE(parse_stat("12 (x) S 1", 100));
  EXPECT_FALSE(parse_stat("12 x S 1 1 1", 100));
}

TEST(Procfs, CountsSwappedMemoryAsAnonymous) {
  const auto memory = parse_status(
      "Name:\tx\nVmRSS:\t 900 kB\nRssAnon:\t     100 kB\nRssFile:\t 500 kB\nRssShmem:\t 300 kB\n"
      "VmSwap:\t 50 kB\nThreads:\t7\nSigQ:\t0/1\n");
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->anonymous.count, 150 * 1024);
  EXPECT_EQ(memory->shared.count, 300 * 1024);
  EXPECT_EQ(memory->threads, 7);
}

TEST(Procfs, AZombieHasNoMemory) {
  const auto memory = parse_status("Name:\tx\nState:\tZ (zombie)\nThreads:\t1\n");
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->anonymous.count, 0);
  EXPECT_FALSE(parse_status("nonsense"));
}

TEST(Procfs, ReadsTheNewestProcessId) {
  EXPECT_EQ(parse_newest_pid("0.00 0.01 0.05 1/234 5670\n"), 5670);
  EXPECT_EQ(parse_newest_pid("0.00 0.01"), std::nullopt);
}

TEST(Procfs, TellsSharedMemoryFromFilesInSmaps) {
  const auto mappings = parse_smaps(
      "7f00-7f10 rw-s 00000000 00:01 1234                       /memfd:keisei (deleted)\n"
      "Size:                400 kB\nRss:                 300 kB\nPss:                 200 "
      "kB\nPss_Dirty:           200 kB\n"
      "Anonymous:             0 kB\nSwapPss:               8 kB\n"
      "VmFlags: rd wr sh mr mw me ms sd\n"
      "8000-8100 rw-p 00000000 00:00 0 \nPss:                  16 kB\nAnonymous:            16 kB\n"
      "9000-9100 rw-p 00001000 08:01 77                         /usr/lib/libc.so.6\n"
      "Pss:                  90 kB\nAnonymous:            12 kB\n");
  ASSERT_EQ(mappings.size(), 3U);
  EXPECT_EQ(mappings[0].inode, 1234U);
  EXPECT_TRUE(mappings[0].shared_memory);
  EXPECT_EQ(mappings[0].proportional.count, 208 * 1024);
  EXPECT_EQ(mappings[0].resident.count, 300 * 1024);
  EXPECT_EQ(mappings[1].inode, 0U);
  EXPECT_EQ(mappings[1].proportional.count, 16 * 1024);
  EXPECT_FALSE(mappings[2].shared_memory);
  EXPECT_EQ(mappings[2].anonymous.count, 12 * 1024);
}

/// A child that holds 20 MB and a memfd of 5 MB, and whose first thread ends before another one.
pid_t fork_headless() {
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    static std::vector<char> memory(20'000'000, 'x');
    const int fd = memfd_create("held", 0);
    (void)!write(fd, memory.data(), 5'000'000);
    std::thread([] { pause(); }).detach();
    syscall(SYS_exit, 0);
  }
  return child;
}

TEST(ProcfsView, SeesWhatAProcessHoldsThatHasLostItsFirstThread) {
  const pid_t child = fork_headless();
  ProcfsView view;
  while (view.stat(child).value().state != 'Z') {
    std::this_thread::yield();
  }
  EXPECT_THAT(view.descendants(getpid()), testing::Contains(child));
  EXPECT_GE(view.memory(child).value().anonymous, megabytes(20));
  const auto files = view.memory_files(child);
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 1U);
  EXPECT_GE(files->front().allocated, megabytes(5));
  EXPECT_FALSE(view.mappings(child).empty());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(ProcfsView, SeesThisProcessAsAChildOfItsParent) {
  ProcfsView view;
  const std::vector<pid_t> below = view.descendants(getppid());
  EXPECT_NE(std::find(below.begin(), below.end(), getpid()), below.end());
  const auto memory = view.memory(getpid());
  ASSERT_TRUE(memory);
  EXPECT_GT(memory->anonymous.count, 0);
  EXPECT_FALSE(view.mappings(getpid()).empty());
  EXPECT_TRUE(view.memory_files(getpid()).has_value());
}

}  // namespace
}  // namespace keisei::os
