#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/learner.h"
#include "net/snapshot.h"
#include "train/trainer.h"

namespace keisei::train {

/// All that training needs to go on exactly where it stood, as one safetensors file that is also a
/// snapshot: weights, Adam's moments and step count, counters, and each game slot's start, moves
/// and position in its random numbers. Data, never code. Fails where the learner cannot show its
/// optimiser.
[[nodiscard]] Result<std::vector<std::byte>> encode_checkpoint(const net::Learner& learner,
                                                               const Trainer& trainer,
                                                               const std::string& config_hash);

/// Puts learner and trainer where `checkpoint` was taken. Fails as Usage, naming both, on another
/// architecture or another number of games; else on a snapshot without a training state, on values
/// that are not finite, on games that cannot be replayed. After a failure neither may be trained
/// with.
[[nodiscard]] Result<void> restore_checkpoint(const net::Snapshot& checkpoint,
                                              net::Learner& learner, Trainer& trainer);

/// RUN/checkpoints: step-%012d.safetensors, the newest `keep` of them.
class CheckpointDirectory {
 public:
  /// keep >= 1.
  CheckpointDirectory(std::filesystem::path directory, std::int64_t keep);

  [[nodiscard]] std::filesystem::path path_of(std::int64_t step) const;

  /// Writes atomically (a failure leaves all older ones intact), then removes, of those up to
  /// `step`, what is beyond the newest `keep`. Those of later steps neither count nor go. Blocks on
  /// the disk. Fails where it cannot write; what cannot be removed stays.
  [[nodiscard]] Result<std::filesystem::path> save(std::int64_t step,
                                                   std::span<const std::byte> bytes) const;

  /// The path of every checkpoint, readable or not, the latest step first.
  [[nodiscard]] std::vector<std::filesystem::path> newest_first() const;

 private:
  std::filesystem::path directory_;
  std::int64_t keep_;
};

/// Where training goes on from.
struct Resumed {
  std::filesystem::path path;
  std::string config_hash;  // as it was given to encode_checkpoint
};

/// Restores the newest checkpoint that can be, and nothing where there is none. One that cannot is
/// renamed to *.unreadable, so that it neither counts nor comes up again, and its error added to
/// `set_aside`. Fails where the configuration does not fit (see restore_checkpoint), renaming
/// nothing; and where there are checkpoints but none can be restored.
[[nodiscard]] Result<std::optional<Resumed>> resume_newest(const CheckpointDirectory& directory,
                                                           net::Learner& learner, Trainer& trainer,
                                                           std::vector<std::string>& set_aside);

}  // namespace keisei::train
