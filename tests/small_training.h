#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "net/snapshot.h"
#include "net/torch/learner.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace keisei::train {

inline constexpr net::NetSpec kB2c32{.blocks = 2, .channels = 32};
inline constexpr net::NetSpec kB4c64{.blocks = 4, .channels = 64};
inline constexpr std::uint64_t kSeed = 11;

inline TrainerSettings small_settings(int workers) {
  TrainerSettings settings;
  settings.self_play = {.games = 96, .max_plies = 60, .random_plies = 8, .seed = kSeed};
  settings.rollout_plies = 4;
  settings.minibatch = 200;  // the last minibatch and the last micro-batch are smaller
  settings.micro_batch = 64;
  settings.workers = workers;
  settings.schedule.total_steps = 10'000;
  return settings;
}

struct Training {
  Training(const net::NetSpec& spec, int workers)
      : learner(std::move(
            *net::TorchLearner::create(spec, net::initial_weights(spec, kSeed), workers))),
        trainer(small_settings(workers), {.learner = *learner}) {}

  void update(int times) {
    for (int i = 0; i < times; ++i) {
      const auto record = trainer.update(std::stop_token());
      ASSERT_TRUE(record) << record.error().message;
      ASSERT_TRUE(record->has_value());
    }
  }
  [[nodiscard]] std::vector<std::byte> checkpoint() const {
    return encode_checkpoint(*learner, trainer, "config").value();
  }
  [[nodiscard]] std::string hash() const {
    return net::Snapshot::seal(checkpoint())->content_hash();
  }

  std::unique_ptr<net::TorchLearner> learner;
  Trainer trainer;
};

inline net::Snapshot weights_of(const net::Learner& learner) {
  auto fd = net::seal_weights(learner.spec(), 1, learner.weights());
  return std::move(*net::Snapshot::from_fd(std::move(*fd)));
}

}  // namespace keisei::train
