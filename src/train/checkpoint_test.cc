#include "train/checkpoint.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"

namespace keisei::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::byte> weights_file(std::uint64_t step) {
  constexpr net::NetSpec kSpec{.blocks = 1, .channels = 16};
  const std::vector<float> flat = net::initial_weights(kSpec, step);
  return net::serialise_safetensors(net::weight_tensors(kSpec, flat),
                                    net::snapshot_metadata(kSpec, step));
}

class CheckpointDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "checkpoint.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path directory_;
};

TEST_F(CheckpointDirectoryTest, KeepsTheNewest) {
  const CheckpointDirectory checkpoints(directory_ / "checkpoints", 2);
  for (const std::int64_t step : {900, 1000, 20'000}) {
    ASSERT_TRUE(checkpoints.save(step, weights_file(static_cast<std::uint64_t>(step))));
  }
  EXPECT_THAT(checkpoints.newest_first(),
              ElementsAre(checkpoints.path_of(20'000), checkpoints.path_of(1000)));
  EXPECT_EQ(checkpoints.path_of(20'000).filename(), "step-000000020000.safetensors");
}

TEST_F(CheckpointDirectoryTest, LaterStepsCannotPushOutWhatWasJustSaved) {
  const CheckpointDirectory checkpoints(directory_, 1);
  for (const char* name : {"step-000000005000.safetensors", "step-1000000000000000.safetensors",
                           "step-zzz.safetensors", "step-.safetensors"}) {
    ASSERT_TRUE(write_file_atomically(directory_ / name, std::string_view("left by another run")));
  }
  ASSERT_TRUE(checkpoints.save(900, weights_file(900)));
  ASSERT_TRUE(checkpoints.save(1000, weights_file(1000)));
  EXPECT_FALSE(std::filesystem::exists(checkpoints.path_of(900)));
  EXPECT_THAT(checkpoints.newest_first(),
              ElementsAre(directory_ / "step-1000000000000000.safetensors",
                          checkpoints.path_of(5000), checkpoints.path_of(1000)));
}

TEST_F(CheckpointDirectoryTest, NoDirectoryMeansNoCheckpoint) {
  EXPECT_TRUE(CheckpointDirectory(directory_ / "none", 1).newest_first().empty());
}

TEST_F(CheckpointDirectoryTest, AFailedSaveNamesTheStepAndLeavesTheOldOnes) {
  const CheckpointDirectory checkpoints(directory_, 1);
  ASSERT_TRUE(checkpoints.save(1, weights_file(1)));
  std::filesystem::create_directories(checkpoints.path_of(2) / "in the way");
  const auto saved = checkpoints.save(2, weights_file(2));
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().message, HasSubstr("saving the checkpoint of step 2"));
  const auto kept = net::Snapshot::from_file(checkpoints.path_of(1));
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_TRUE(kept->weights());
  std::filesystem::remove_all(checkpoints.path_of(2));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1)
      << "a temporary file stayed behind";
}

}  // namespace
}  // namespace keisei::train
