#include "net/snapshot.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <limits>

#include "base/file.h"

namespace keisei::net {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr NetSpec kSmall{.blocks = 1, .channels = 16};

std::vector<std::byte> file_of(const NetSpec& spec, std::uint64_t step) {
  const std::vector<float> flat = initial_weights(spec, 3);
  return serialise_safetensors(weight_tensors(spec, flat), snapshot_metadata(spec, step));
}

class TemporaryFile {
 public:
  explicit TemporaryFile(std::span<const std::byte> bytes)
      : path_(std::filesystem::temp_directory_path() /
              ("snapshot_test_" + std::to_string(::getpid()) + ".safetensors")) {
    EXPECT_TRUE(write_file_atomically(path_, bytes));
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(Snapshot, SealedMemoryAndFileSayTheSame) {
  const std::vector<std::byte> file = file_of(kSmall, 42);
  const TemporaryFile on_disk(file);
  const Result<Snapshot> sealed = Snapshot::seal(file);
  const Result<Snapshot> read = Snapshot::from_file(on_disk.path());
  ASSERT_TRUE(sealed) << sealed.error().message;
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(sealed->step(), 42U);
  EXPECT_EQ(sealed->spec(), kSmall);
  EXPECT_EQ(sealed->content_hash(), read->content_hash());
  const Result<WeightsView> weights = read->weights();
  ASSERT_TRUE(weights) << weights.error().message;
  const std::vector<float> expected = initial_weights(kSmall, 3);
  std::vector<float> flat;
  for (const std::span<const float> tensor : weights->tensors) {
    flat.insert(flat.end(), tensor.begin(), tensor.end());
  }
  EXPECT_EQ(flat, expected);
}

TEST(Snapshot, TheFastRoadWritesTheSameBytes) {
  const std::vector<float> flat = initial_weights(kSmall, 3);
  Result<UniqueFd> fd = seal_weights(kSmall, 42, flat);
  ASSERT_TRUE(fd);
  const Result<Snapshot> fast = Snapshot::from_fd(std::move(*fd));
  const Result<Snapshot> slow = Snapshot::seal(file_of(kSmall, 42));
  ASSERT_TRUE(fast && slow);
  EXPECT_EQ(fast->content_hash(), slow->content_hash());
}

TEST(Snapshot, NobodyCanChangeSealedWeights) {
  const Result<Snapshot> snapshot = Snapshot::seal(file_of(kSmall, 1));
  ASSERT_TRUE(snapshot);
  const char byte = 1;
  EXPECT_EQ(::pwrite(snapshot->fd(), &byte, 1, 0), -1);
  EXPECT_EQ(::ftruncate(snapshot->fd(), 0), -1);
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, snapshot->fd(), 0),
            MAP_FAILED);
}

TEST(Snapshot, RefusesMemoryThatItsSenderCouldChange) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_TRUE(write_all(fd.get(), file_of(kSmall, 1)));
  const Result<Snapshot> open = Snapshot::from_fd(std::move(fd));
  ASSERT_FALSE(open);
  EXPECT_THAT(open.error().message, HasSubstr("not sealed"));
  UniqueFd unsealable(::memfd_create("test", MFD_CLOEXEC));
  ASSERT_TRUE(write_all(unsealable.get(), file_of(kSmall, 1)));
  EXPECT_FALSE(Snapshot::from_fd(std::move(unsealable)));
}

TEST(Snapshot, AnotherArchitectureIsAnErrorThatNamesBoth) {
  const Result<Snapshot> snapshot = Snapshot::seal(file_of(kSmall, 1));
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(snapshot->weights_for(kSmall));
  const Result<WeightsView> other = snapshot->weights_for({.blocks = 2, .channels = 32});
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, AllOf(HasSubstr("b1c16"), HasSubstr("b2c32")));
}

TEST(Snapshot, WeightsThatLieAboutTheirArchitectureAreRefused) {
  const std::vector<float> flat = initial_weights(kSmall, 3);
  const Result<Snapshot> snapshot = Snapshot::seal(serialise_safetensors(
      weight_tensors(kSmall, flat), snapshot_metadata({.blocks = 2, .channels = 32}, 1)));
  ASSERT_TRUE(snapshot);
  const Result<WeightsView> weights = snapshot->weights();
  ASSERT_FALSE(weights);
  EXPECT_THAT(weights.error().message, AllOf(HasSubstr("b2c32"), HasSubstr("stem.weight")));
}

TEST(Snapshot, AMissingFileIsOneClearMessage) {
  const Result<Snapshot> snapshot = Snapshot::from_file("/nonexistent/x.safetensors");
  ASSERT_FALSE(snapshot);
  EXPECT_THAT(snapshot.error().message,
              AllOf(HasSubstr("/nonexistent/x.safetensors"), HasSubstr("No such file")));
}

TEST(Snapshot, WeightsThatAreNotFiniteAreRefused) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> flat = initial_weights(kSmall, 3);
    flat.back() = bad;
    auto fd = seal_weights(kSmall, 5, flat);
    ASSERT_TRUE(fd);
    const auto snapshot = Snapshot::from_fd(std::move(*fd));
    ASSERT_TRUE(snapshot) << snapshot.error().message;
    const auto weights = snapshot->weights();
    ASSERT_FALSE(weights);
    EXPECT_NE(weights.error().message.find("value.wdl.bias"), std::string::npos);
    EXPECT_NE(weights.error().message.find("not finite"), std::string::npos);
  }
}

TEST(Snapshot, ATruncatedFileIsOneClearMessage) {
  const std::vector<std::byte> file = file_of(kSmall, 1);
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, file.size() - 1}) {
    const TemporaryFile cut{std::span(file).first(size)};
    const Result<Snapshot> snapshot = Snapshot::from_file(cut.path());
    ASSERT_FALSE(snapshot);
    EXPECT_THAT(snapshot.error().message,
                AllOf(HasSubstr("truncated"), HasSubstr(cut.path().string())));
  }
}

TEST(Snapshot, SafetensorsOfSomebodyElseAreRefused) {
  const Result<Snapshot> snapshot = Snapshot::seal(serialise_safetensors({}, {{"format", "pt"}}));
  ASSERT_FALSE(snapshot);
  EXPECT_THAT(snapshot.error().message, HasSubstr("no weights of this program"));
}

TEST(Snapshot, ADirectoryIsNoSnapshot) {
  EXPECT_FALSE(Snapshot::from_file(std::filesystem::temp_directory_path()));
}

}  // namespace
}  // namespace keisei::net
