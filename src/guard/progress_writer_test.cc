#include "guard/progress_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <keisei_progress.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"

namespace keisei::guard {
namespace {

constexpr uid_t kNobody = 65534;

class ProgressWriter : public testing::Test {
 protected:
  ProgressWriter() : file_(memfd_create("progress", MFD_CLOEXEC)) {
    EXPECT_EQ(ftruncate(file_.get(), KEISEI_PROGRESS_SIZE), 0);
  }

  /// What is found of a process that has the file mapped so.
  [[nodiscard]] WritesProgress look(int protection, int flags) const {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      void* page = mmap(nullptr, KEISEI_PROGRESS_SIZE, protection, flags, file_.get(), 0);
      (void)!write(ready[1], page != MAP_FAILED ? "y" : "n", 1);
      while (true) {
        pause();
      }
    }
    char answer = 0;
    EXPECT_EQ(read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    const WritesProgress found = look_at(pid);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    close(ready[0]);
    close(ready[1]);
    return found;
  }
  [[nodiscard]] WritesProgress look_at(pid_t pid) const {
    const UniqueFd directory(
        open(("/proc/" + std::to_string(pid)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return writes_progress(directory.get(), file_.get());
  }

  UniqueFd file_;
};

TEST_F(ProgressWriter, IsWhoeverHasTheFileMappedSharedAndWritable) {
  EXPECT_EQ(look(PROT_READ | PROT_WRITE, MAP_SHARED), WritesProgress::Yes);
  EXPECT_EQ(look(PROT_READ, MAP_SHARED), WritesProgress::No) << "a reader";
  EXPECT_EQ(look(PROT_READ | PROT_WRITE, MAP_PRIVATE), WritesProgress::No);
  EXPECT_EQ(look(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS), WritesProgress::No);
}

TEST_F(ProgressWriter, OfAnotherFileIsNone) {
  const UniqueFd other(memfd_create("progress", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(other.get(), KEISEI_PROGRESS_SIZE), 0);
  void* page =
      mmap(nullptr, KEISEI_PROGRESS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, other.get(), 0);
  ASSERT_NE(page, MAP_FAILED);
  EXPECT_EQ(look_at(getpid()), WritesProgress::No);
  munmap(page, KEISEI_PROGRESS_SIZE);
}

TEST_F(ProgressWriter, IsUnknownWhereTheProcessMayNotBeLookedAt) {
  EXPECT_EQ(writes_progress(-1, file_.get()), WritesProgress::Unknown);
  if (getuid() != 0) {
    EXPECT_EQ(look_at(1), WritesProgress::Unknown);
    return;
  }
  const pid_t nobody = fork();  // looks at a process of root's, this one
  if (nobody == 0) {
    const bool other = setgid(kNobody) == 0 && setuid(kNobody) == 0;
    _exit(other && look_at(getppid()) == WritesProgress::Unknown ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(nobody, &status, 0), nobody);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace keisei::guard
