#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "telemetry/records.h"
#include "telemetry/step_clock.h"

namespace keisei::guard {

/// Phases whose work is counted together: rollout, update, checkpoint.
inline constexpr std::size_t kWorkKinds = 3;
inline constexpr std::array<std::string_view, kWorkKinds> kWorkNames = {"rollout", "update",
                                                                        "checkpoint"};

/// Which of them; nothing for time in which no work is done.
[[nodiscard]] std::optional<std::size_t> work_kind(telemetry::Phase phase);

/// Of one kind of work.
struct Amount {
  double seconds = 0;
  double ticks = 0;
  double units = 0;
};
using Amounts = std::array<Amount, kWorkKinds>;

[[nodiscard]] Amounts amounts_of(const telemetry::FrameRecord& frame);
[[nodiscard]] double seconds_in(const telemetry::FrameRecord& frame, telemetry::Phase phase);

/// What each kind of work takes while no evaluation runs, with a memory of 12 frames: by it the
/// work of any frame is counted, whatever mix of phases it has. Pure.
class WorkReference {
 public:
  void take(const Amounts& amounts);
  /// Whether enough was seen to hold frames against.
  [[nodiscard]] bool known() const { return frames_ >= kFirst; }
  /// What that much takes without evaluations; nothing where that kind was not seen yet.
  [[nodiscard]] std::optional<double> seconds_for(std::size_t kind, const Amount& done) const;
  /// Of a frame, 1 being the reference. Nothing where it cannot be told: no work, or most of it of
  /// a kind not seen yet.
  [[nodiscard]] std::optional<double> rate_of(const Amounts& amounts) const;

  static constexpr int kFirst = 4;  // frames

 private:
  Amounts known_{};
  int frames_ = 0;
};

}  // namespace keisei::guard
