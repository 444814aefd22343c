#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/result.h"
#include "telemetry/evaluation_channel.h"
#include "train/callback.h"

namespace keisei::train {

/// Every `interval` steps, hands the current weights to whoever evaluates, and forgets them.
///   weights -> memfd, sealed -> ChannelSender::send_notice (never blocks) -> supervisor
/// Fires after each update that reaches or crosses a multiple of `interval`, once even where it
/// crosses several: the weights are the same. Costs under 1 ms with b4c64.
class AsyncEvaluationCallback final : public Callback {
 public:
  /// `channel` must live longer. interval >= 1.
  AsyncEvaluationCallback(telemetry::ChannelSender& channel, std::int64_t interval);

  void on_step_end(const TrainingProgress& progress) override;

  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  /// Full channel, nobody there, or no memory for the snapshot.
  [[nodiscard]] std::uint64_t skipped() const { return skipped_; }
  /// Why no snapshot could be made since the last call, if so.
  [[nodiscard]] std::optional<Error> take_failure() { return std::exchange(failure_, {}); }

 private:
  telemetry::ChannelSender& channel_;
  const std::int64_t interval_;
  std::uint64_t sequence_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t skipped_ = 0;
  std::optional<Error> failure_;
};

}  // namespace keisei::train
