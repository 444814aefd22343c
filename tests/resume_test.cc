// Checkpoints of a real learner: what they bring back, and which are refused.

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <limits>

#include "base/file.h"
#include "net/torch/learner.h"
#include "small_training.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace keisei::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Training, ResumesBitForBit) {
  Training whole(kB2c32, 2);
  whole.update(4);
  Training first(kB2c32, 2);
  first.update(2);
  const net::Snapshot saved = std::move(*net::Snapshot::seal(first.checkpoint()));
  Training second(kB2c32, 1);
  const Result<void> restored = restore_checkpoint(saved, *second.learner, second.trainer);
  ASSERT_TRUE(restored) << restored.error().message;
  second.update(2);
  EXPECT_EQ(second.hash(), whole.hash());
}

class Resume : public ::testing::Test {
 protected:
  Resume() {
    std::string name = (std::filesystem::temp_directory_path() / "resume.XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~Resume() override { std::filesystem::remove_all(directory_); }
  [[nodiscard]] CheckpointDirectory checkpoints() const { return {directory_, 5}; }

  std::filesystem::path directory_;
  std::vector<std::string> set_aside_;
};

TEST_F(Resume, GoesDownTheListAndSetsAsideWhatCannotBeRestored) {
  Training training(kB2c32, 1);
  training.update(1);
  const std::int64_t step = training.trainer.counters().step;
  ASSERT_TRUE(checkpoints().save(step, training.checkpoint()));
  const std::string hash = training.hash();
  std::vector<std::byte> bytes = training.checkpoint();
  ASSERT_TRUE(write_file_atomically(checkpoints().path_of(step + 1),
                                    std::span(bytes).first(bytes.size() / 2)));
  std::vector<float> broken(training.learner->weights().size(),
                            std::numeric_limits<float>::quiet_NaN());
  ASSERT_TRUE(training.learner->restore(broken, training.learner->optimiser().value()));
  ASSERT_TRUE(checkpoints().save(step + 2, training.checkpoint()));
  Training resumed(kB2c32, 1);
  const auto found = resume_newest(checkpoints(), *resumed.learner, resumed.trainer, set_aside_);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_TRUE(found->has_value());
  EXPECT_EQ((*found)->path, checkpoints().path_of(step));
  EXPECT_EQ((*found)->config_hash, "config");
  EXPECT_EQ(resumed.hash(), hash);
  ASSERT_EQ(set_aside_.size(), 2U);
  EXPECT_THAT(set_aside_[0], HasSubstr("not finite"));
  EXPECT_THAT(set_aside_[1], HasSubstr("truncated"));
  EXPECT_EQ(checkpoints().newest_first().size(), 1U);
  EXPECT_TRUE(std::filesystem::exists(checkpoints().path_of(step + 1).string() + ".unreadable"));
}

TEST_F(Resume, AConfigurationThatDoesNotFitIsRefusedAndNothingRenamed) {
  const Training training(kB2c32, 1);
  ASSERT_TRUE(checkpoints().save(1, training.checkpoint()));
  Training large(kB4c64, 1);
  auto resumed = resume_newest(checkpoints(), *large.learner, large.trainer, set_aside_);
  ASSERT_FALSE(resumed);
  EXPECT_THAT(resumed.error().message, AllOf(HasSubstr("b2c32"), HasSubstr("b4c64")));
  TrainerSettings settings = small_settings(1);
  settings.self_play.games = 95;
  Trainer other(settings, {.learner = *training.learner});
  resumed = resume_newest(checkpoints(), *training.learner, other, set_aside_);
  ASSERT_FALSE(resumed);
  EXPECT_THAT(resumed.error().message,
              HasSubstr("holds 96 games, but training.environments is 95"));
  EXPECT_EQ(checkpoints().newest_first().size(), 1U);
}

TEST_F(Resume, WithNothingToResumeFromStartsFreshButNotWhereAllIsBroken) {
  Training training(kB2c32, 1);
  auto resumed = resume_newest(checkpoints(), *training.learner, training.trainer, set_aside_);
  ASSERT_TRUE(resumed);
  EXPECT_FALSE(resumed->has_value());
  ASSERT_TRUE(write_file_atomically(checkpoints().path_of(1), std::string_view("broken")));
  resumed = resume_newest(checkpoints(), *training.learner, training.trainer, set_aside_);
  ASSERT_FALSE(resumed);
  EXPECT_THAT(resumed.error().message, HasSubstr("none of the 1 checkpoints"));
}

TEST(Training, ACheckpointOfAnotherArchitectureIsRefusedNamingBoth) {
  const Training small(kB2c32, 1);
  Training large(kB4c64, 1);
  const net::Snapshot saved = std::move(*net::Snapshot::seal(small.checkpoint()));
  const Result<void> restored = restore_checkpoint(saved, *large.learner, large.trainer);
  ASSERT_FALSE(restored);
  EXPECT_THAT(restored.error().message, AllOf(HasSubstr("b2c32"), HasSubstr("b4c64")));
}

TEST(Training, WeightsWithoutATrainingStateCannotBeResumed) {
  Training training(kB2c32, 1);
  const Result<void> restored =
      restore_checkpoint(weights_of(*training.learner), *training.learner, training.trainer);
  ASSERT_FALSE(restored);
  EXPECT_THAT(restored.error().message, HasSubstr("no training state"));
}

}  // namespace
}  // namespace keisei::train
