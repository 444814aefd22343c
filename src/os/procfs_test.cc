#include "os/procfs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "os/process_view.h"
#include "os/sleeper_fixture.h"

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

TEST(Procfs, CountsWhatTheMachineDidButIdleAndWait) {
  EXPECT_EQ(parse_busy_seconds("cpu  100 10 50 9000 800 5 6 7 3 2\ncpu0 1 2 3\n", 100), 1.78);
  EXPECT_EQ(parse_busy_seconds("cpu0 100 10 50 9000 800 5 6 7\n", 100), std::nullopt);
  EXPECT_EQ(parse_busy_seconds("cpu 1 2 3\n", 100), std::nullopt);
  EXPECT_EQ(parse_busy_seconds("", 100), std::nullopt);
}

TEST(Procfs, ReadsWhoWritesThroughAMapping) {
  const auto ranges = parse_maps(
      "7f00-7f10 rw-s 00000000 00:01 1234                       /memfd:keisei (deleted)\n"
      "8000-8100 rw-p 00000000 08:01 77 \nno line\n"
      "9000-9100 r--s 00001000 08:01 77                         /tmp/a file");
  ASSERT_EQ(ranges.size(), 3U);
  EXPECT_EQ(ranges[0].begin, 0x7f00U);
  EXPECT_EQ(ranges[0].end, 0x7f10U);
  EXPECT_EQ(ranges[0].file, (FileId{.device = makedev(0, 1), .inode = 1234}));
  EXPECT_TRUE(ranges[0].writes_through);
  EXPECT_EQ(ranges[1].file, (FileId{.device = makedev(8, 1), .inode = 77}));
  EXPECT_FALSE(ranges[1].writes_through);
  EXPECT_EQ(ranges[2].begin, 0x9000U);
  EXPECT_FALSE(ranges[2].writes_through);
  EXPECT_TRUE(parse_maps("").empty());
}

TEST(Procfs, ReadsWhatFilesInMemoryHold) {
  EXPECT_EQ(parse_shared_total("MemTotal:  100 kB\nShmem:   7 kB\nShmemHugePages:  0 kB\n"),
            Bytes{7 * 1024});
  EXPECT_EQ(parse_shared_total("ShmemHugePages:  8 kB\n"), std::nullopt);
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
  EXPECT_EQ(mappings[0].file, (FileId{.device = makedev(0, 1), .inode = 1234}));
  EXPECT_TRUE(mappings[0].shared_memory);
  EXPECT_EQ(mappings[0].proportional.count, 208 * 1024);
  EXPECT_EQ(mappings[0].resident.count, 300 * 1024);
  EXPECT_EQ(mappings[1].file, FileId{});
  EXPECT_EQ(mappings[2].file.device, makedev(8, 1));
  EXPECT_EQ(mappings[1].proportional.count, 16 * 1024);
  EXPECT_FALSE(mappings[2].shared_memory);
  EXPECT_EQ(mappings[2].anonymous.count, 12 * 1024);
}

TEST(Procfs, TellsWhatAProcessHasForItselfAlone) {
  const auto share = parse_smaps_rollup(
      "5500-7fff ---p 00000000 00:00 0                          [rollup]\n"
      "Rss:     1636 kB\nPss:    474 kB\nPss_Dirty:  112 kB\nPss_Anon:  100 kB\n"
      "Pss_File:  362 kB\nPrivate_Dirty:  112 kB\nAnonymous:  112 kB\nSwap:  0 kB\n");
  ASSERT_TRUE(share);
  EXPECT_EQ(share->resident, Bytes{112 * 1024});
  EXPECT_EQ(share->proportional, Bytes{100 * 1024});
  EXPECT_EQ(share->alone(), Bytes{88 * 1024});
  EXPECT_EQ((AnonymousShare{.resident = {100}, .proportional = {10}}).alone(), Bytes{});
  EXPECT_FALSE(parse_smaps_rollup("Rss:  1636 kB\nAnonymous:  112 kB\n"));
  EXPECT_FALSE(parse_smaps_rollup(""));
}

TEST(Procfs, SeesWhatAForkHasForItselfAlone) {
  ProcessTable table;
  ProcfsView view(table);
  static std::vector<char> shared(20'000'000, 'x');
  static std::vector<char> alone;
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alone.assign(30'000'000, 'x');
    raise(SIGSTOP);
    _exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, WUNTRACED), child);
  const std::optional<AnonymousShare> share = view.anonymous_share(child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(share);
  EXPECT_GE(share->resident, megabytes(50));
  EXPECT_GE(share->alone(), megabytes(29));
  EXPECT_LE(share->alone() + megabytes(19), share->resident);
  EXPECT_FALSE(view.anonymous_share(child));
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
  ProcessTable table;
  ProcfsView view(table);
  while (view.stat(child).value().state != 'Z') {
    std::this_thread::yield();
  }
  EXPECT_THAT(view.descendants(getpid()), testing::Contains(child));
  EXPECT_GE(view.memory(child).value().anonymous, megabytes(20));
  const auto files = view.memory_files(child);
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 1U);
  EXPECT_GE(files->front().allocated, megabytes(5));
  EXPECT_FALSE(view.mappings(child).value().empty());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

/// A child that runs a program in a memfd which it has not open any more.
pid_t run_memfd() {
  int started[2];
  (void)!pipe2(started, O_CLOEXEC);
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int program = memfd_create("program", MFD_CLOEXEC);
    const int sleep = open("/bin/sleep", O_RDONLY | O_CLOEXEC);
    while (sendfile(program, sleep, nullptr, 1 << 20) > 0) {
    }
    char name[] = "sleep";
    char seconds[] = "100";
    char* const arguments[] = {name, seconds, nullptr};
    char* const nothing[] = {nullptr};
    fexecve(program, arguments, nothing);
    _exit(1);
  }
  close(started[1]);
  char none = 0;
  (void)!read(started[0], &none, 1);  // closed by exec
  close(started[0]);
  return child;
}

TEST(ProcfsView, AProgramInMemoryCountsLikeAnOpenFile) {
  const pid_t child = run_memfd();
  ProcessTable table;
  ProcfsView view(table);
  const auto files = view.memory_files(child);
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 1U);
  EXPECT_GT(files->front().allocated, Bytes{10'000});
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(Procfs, ReadsPagesIoAndTheProcessOfAThread) {
  const auto pages = parse_statm("765 441 412 5 0 123 0\n");
  ASSERT_TRUE(pages);
  EXPECT_EQ(pages->resident, 441);
  EXPECT_EQ(pages->shared, 412);
  EXPECT_EQ(pages->unwritable, 642);
  EXPECT_FALSE(parse_statm("765"));
  const auto io = parse_io(
      "rchar: 7000\nwchar: 10\nsyscr: 10\nsyscw: 0\nread_bytes: 4096\nwrite_bytes: 8192\n"
      "cancelled_write_bytes: 0\n");
  ASSERT_TRUE(io);
  EXPECT_EQ(io->read, Bytes{4096});
  EXPECT_EQ(io->written, Bytes{8192});
  EXPECT_FALSE(parse_io("read_bytes: 1\n"));
  EXPECT_EQ(parse_thread_group("Name:\tx\nTgid:\t77\nPid:\t78\n"), 77);
  EXPECT_EQ(parse_parent("Name:\tx\nTgid:\t77\nPid:\t78\nPPid:\t1\n"), 1);
  EXPECT_FALSE(parse_parent("Name:\tx\nPid:\t78\n"));
}

TEST(ProcfsView, ForgetsAProcessThatHasEnded) {
  ProcessTable table;
  ProcfsView view(table);
  Sleeper sleeper;
  const pid_t pid = sleeper.pid();
  EXPECT_EQ(std::ranges::count(view.descendants(getpid()), pid), 1);
  ASSERT_TRUE(view.memory(pid));
  EXPECT_EQ(view.memory(pid)->anonymous, view.memory(pid)->anonymous);
  EXPECT_TRUE(view.io(pid));
  sleeper.end();
  EXPECT_FALSE(view.memory(pid));
  EXPECT_EQ(std::ranges::count(view.descendants(getpid()), pid), 0);
}

TEST(ProcfsView, TellsThatALookOfAnotherRunHasFoundANewborn) {
  ProcessTable table;
  ProcfsView view(table);
  ProcfsView other(table);
  Sleeper root;
  const auto look_until_all_is_known = [&] {
    do {
      (void)view.descendants(getpid());
    } while (!view.shows_all_activity());
  };
  (void)other.descendants(root.pid());
  look_until_all_is_known();
  Sleeper newborn;
  (void)other.descendants(root.pid());
  EXPECT_FALSE(view.shows_all_activity());
  look_until_all_is_known();
}

/// Ends its first thread, which leaves the process to the other, when told with SIGUSR1.
pid_t fork_that_loses_its_first_thread() {
  const pid_t child = fork();
  if (child == 0) {
    sigset_t told;
    sigemptyset(&told);
    sigaddset(&told, SIGUSR1);
    sigprocmask(SIG_BLOCK, &told, nullptr);
    const int fd = memfd_create("held", 0);
    (void)!write(fd, "held", 4);
    std::thread([] { pause(); }).detach();
    int signal = 0;
    sigwait(&told, &signal);
    syscall(SYS_exit, 0);
  }
  return child;
}

TEST(ProcfsView, FindsAnewWhatItKeptOpenOfAThreadThatHasEnded) {
  const pid_t child = fork_that_loses_its_first_thread();
  ProcessTable table;
  ProcfsView view(table);
  (void)view.descendants(getpid());
  EXPECT_TRUE(view.memory(child));
  while (view.memory_files(child).value_or(std::vector<MemoryFile>{}).empty()) {
    std::this_thread::yield();
  }
  kill(child, SIGUSR1);
  while (view.stat(child).value().state != 'Z') {
    std::this_thread::yield();
  }
  const auto files = view.memory_files(child);
  ASSERT_TRUE(files);
  EXPECT_EQ(files->size(), 1U);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(ProcfsView, ReadsWhatItKeepsOpenAsItIsNow) {
  int to_child[2];
  ASSERT_EQ(pipe(to_child), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    (void)!read(to_child[0], &byte, 1);
    (void)memfd_create("later", 0);
    while (true) {
      asm volatile("");
    }
  }
  ProcessTable table;
  ProcfsView view(table);
  (void)view.descendants(getpid());
  EXPECT_TRUE(view.memory(child));
  ASSERT_TRUE(view.memory_files(child));
  EXPECT_TRUE(view.memory_files(child)->empty());
  const double before = view.stat(child).value().cpu_seconds;
  (void)!write(to_child[1], "x", 1);
  while (view.memory_files(child).value().empty() ||
         view.stat(child).value().cpu_seconds == before) {
    std::this_thread::yield();
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(view.stat(child));
  EXPECT_FALSE(view.io(child));
  EXPECT_TRUE(view.memory_files(child).value().empty());
  close(to_child[0]);
  close(to_child[1]);
}

TEST(ProcfsView, SeesThisProcessAsAChildOfItsParent) {
  ProcessTable table;
  ProcfsView view(table);
  const std::vector<pid_t> below = view.descendants(getppid());
  EXPECT_NE(std::find(below.begin(), below.end(), getpid()), below.end());
  const auto memory = view.memory(getpid());
  ASSERT_TRUE(memory);
  EXPECT_GT(memory->anonymous.count, 0);
  EXPECT_FALSE(view.mappings(getpid()).value().empty());
  EXPECT_TRUE(view.memory_files(getpid()).has_value());
}

}  // namespace
}  // namespace keisei::os
