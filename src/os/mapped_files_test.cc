#include "os/mapped_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "os/process_view.h"

namespace keisei::os {
namespace {

constexpr std::size_t kSize = 8'000'000;

class MappedFilesTest : public testing::Test {
 protected:
  /// What is mapped under `id` when so much time has passed, of which this process used so much.
  std::optional<MappedFile> mapped(FileId id, std::chrono::milliseconds after = {},
                                   std::chrono::milliseconds used = {}) {
    const MappedFiles::Asked asked{
        .process = "/proc/self", .cpu_time = used, .now = start_ + after};
    for (const MappedFile& file : files_.of(getpid(), asked)) {
      if (file.file == id) {
        return file;
      }
    }
    return std::nullopt;
  }
  /// Nothing in it, a page of it mapped, its descriptor open.
  void make_memfd() {
    fd_ = UniqueFd(memfd_create("mapped", MFD_CLOEXEC));
    struct stat status = {};
    ASSERT_EQ(fstat(fd_.get(), &status), 0);
    id_ = {.device = status.st_dev, .inode = status.st_ino};
    page_ = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd_.get(), 0);
    ASSERT_NE(page_, MAP_FAILED);
  }
  void TearDown() override {
    if (page_ != MAP_FAILED) {
      munmap(page_, 4096);
    }
  }

  MappedFiles files_;
  const MonotonicTime start_ = MonotonicClock::now();
  UniqueFd fd_;
  FileId id_;
  void* page_ = MAP_FAILED;
};

TEST_F(MappedFilesTest, SeesWhatAFileHoldsOfWhichNoPageWasTouched) {
  make_memfd();
  ASSERT_TRUE(mapped(id_));
  const std::vector<char> content(kSize, 'x');
  ASSERT_EQ(write(fd_.get(), content.data(), content.size()), static_cast<ssize_t>(kSize));
  fd_.reset();
  const std::optional<MappedFile> file = mapped(id_);
  ASSERT_TRUE(file);
  ASSERT_EQ(file->allocated.has_value(), can_measure_mapped_files());
  if (file->allocated) {
    EXPECT_GE(file->allocated->count, static_cast<std::int64_t>(kSize));
  }
}

TEST_F(MappedFilesTest, ReadsTheListAgainWhereTheSizeIsAnotherOne) {
  files_.note_size(getpid(), 100);
  EXPECT_FALSE(mapped(id_));
  make_memfd();
  EXPECT_FALSE(mapped(id_));
  files_.note_size(getpid(), 101);
  EXPECT_TRUE(mapped(id_));
}

TEST_F(MappedFilesTest, ReadsTheListAgainOnceASecondWhileTheProcessRuns) {
  files_.note_size(getpid(), 100);
  EXPECT_FALSE(mapped(id_));
  make_memfd();
  EXPECT_FALSE(mapped(id_, std::chrono::milliseconds(900), std::chrono::milliseconds(900)));
  EXPECT_FALSE(mapped(id_, std::chrono::milliseconds(1100), std::chrono::milliseconds(1)));
  EXPECT_TRUE(mapped(id_, std::chrono::milliseconds(1100), std::chrono::milliseconds(10)));
}

/// Only who may ask after the file notices before the next reading.
TEST_F(MappedFilesTest, NoticesThatAFileIsNotMappedWhereItWas) {
  if (!can_measure_mapped_files()) {
    GTEST_SKIP() << "this account may not ask what a mapped file holds";
  }
  files_.note_size(getpid(), 100);
  make_memfd();
  ASSERT_TRUE(mapped(id_));
  void* const elsewhere = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd_.get(), 0);
  ASSERT_NE(elsewhere, MAP_FAILED);
  munmap(page_, 4096);
  page_ = elsewhere;
  const std::optional<MappedFile> file = mapped(id_);
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->allocated);
}

}  // namespace
}  // namespace keisei::os
