#include "os/mapped_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "os/process_view.h"

namespace keisei::os {
namespace {

constexpr std::size_t kSize = 8'000'000;
constexpr std::size_t kPage = 4096;

class MappedFilesTest : public testing::Test {
 protected:
  MappedFileList list(std::chrono::milliseconds after = {}) {
    return files_.of(getpid(), {.process = "/proc/self", .now = start_ + after});
  }
  /// What is mapped under `id` when so much time has passed.
  std::optional<MappedFile> mapped(FileId id, std::chrono::milliseconds after = {}) {
    for (const MappedFile& file : list(after).files) {
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

/// Also of who has hardly run: to put one mapping in the place of another takes some microseconds.
TEST_F(MappedFilesTest, ReadsTheListAgainOnceASecond) {
  files_.note_size(getpid(), 100);
  EXPECT_FALSE(mapped(id_));
  make_memfd();
  EXPECT_FALSE(mapped(id_, std::chrono::milliseconds(900)));
  EXPECT_TRUE(mapped(id_, std::chrono::milliseconds(1100)));
}

TEST_F(MappedFilesTest, KnowsSharedMemoryByItsDeviceAndNotByItsName) {
  make_memfd();
  EXPECT_TRUE(kept_in_memory(id_));
  struct stat status = {};
  ASSERT_EQ(stat("/proc/self/exe", &status), 0);
  EXPECT_FALSE(kept_in_memory({.device = status.st_dev, .inode = status.st_ino}));
  EXPECT_FALSE(kept_in_memory({.device = id_.device, .inode = 0}));
  void* const named = mmap(nullptr, kPage, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(named, MAP_FAILED);
  prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, named, kPage, "stack");  // where the kernel lets it
  const auto ranges = parse_maps(read_proc("/proc/self/maps").value());
  const auto range =
      std::ranges::find(ranges, reinterpret_cast<std::uintptr_t>(named), &MappedRange::begin);
  ASSERT_NE(range, ranges.end());
  EXPECT_TRUE(mapped(range->file));
  munmap(named, kPage);
}

TEST_F(MappedFilesTest, LooksThroughNoMoreThanSoManyFiles) {
  EXPECT_TRUE(list().complete);
  std::vector<void*> pages;
  for (std::size_t i = 0; i < MappedFiles::kMost + 10; ++i) {
    pages.push_back(mmap(nullptr, kPage, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(pages.back(), MAP_FAILED);
  }
  const MappedFileList many = list();
  EXPECT_FALSE(many.complete);
  EXPECT_EQ(many.files.size(), MappedFiles::kMost);
  for (void* const page : pages) {
    munmap(page, kPage);
  }
  EXPECT_TRUE(list().complete);
}

TEST_F(MappedFilesTest, ReadsNoMoreThanSoMuchOfAList) {
  constexpr std::size_t kPages = 50'000;
  auto* const memory = static_cast<char*>(
      mmap(nullptr, kPages * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  for (std::size_t page = 0; page < kPages; page += 2) {  // each another line
    ASSERT_EQ(mprotect(memory + page * kPage, kPage, PROT_NONE), 0);
  }
  EXPECT_FALSE(list().complete);
  munmap(memory, kPages * kPage);
  EXPECT_TRUE(list().complete);
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
