#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

namespace keisei {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string pattern = (fs::temp_directory_path() / "keisei-file-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~FileTest() override { fs::remove_all(directory_); }

  fs::path directory_;
};

TEST_F(FileTest, AtomicWriteReplacesTheWholeFile) {
  const fs::path path = directory_ / "a.json";
  ASSERT_TRUE(write_file_atomically(path, "a long first version"));
  ASSERT_TRUE(write_file_atomically(path, "second"));
  EXPECT_EQ(read_file(path).value(), "second");
}

TEST_F(FileTest, FailedAtomicWriteLeavesOldContentAndNoTemporaryFile) {
  const fs::path path = directory_ / "taken";
  fs::create_directory(
      path);  // a rename onto a directory fails, after the temporary file was written
  const auto written = write_file_atomically(path, "text");
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("renaming"), std::string::npos);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1);
}

TEST_F(FileTest, ReadNamesTheMissingFile) {
  const auto content = read_file(directory_ / "missing");
  ASSERT_FALSE(content);
  EXPECT_NE(content.error().message.find("missing: No such file"), std::string::npos);
}

TEST_F(FileTest, ReadStopsAtItsLimit) {
  ASSERT_TRUE(write_file_atomically(directory_ / "big", std::string(100'000, 'x')));
  EXPECT_FALSE(read_file(directory_ / "big", Bytes{1000}));
}

}  // namespace
}  // namespace keisei
