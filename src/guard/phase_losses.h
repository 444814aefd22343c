#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "guard/work_reference.h"
#include "telemetry/step_clock.h"

namespace keisei::guard {

/// What is done in a phase, and what evaluations cost there.
struct PhaseImpact {
  double share = 0;            ///< of training time, while nothing runs beside it
  std::optional<double> loss;  ///< of its rate while evaluations run; nothing: not seen
};

/// The same, phase by phase, from frames with and without evaluations. Estimates: no bound rests on
/// them. Pure.
class PhaseLosses {
 public:
  /// A frame in which nothing ran.
  void count_free(const Amounts& amounts);
  /// The on-frames of a block and its hold-out, the work in both counted by `reference`.
  void count_block(const WorkReference& reference, bool burst, const Amounts& on,
                   const Amounts& off);

  /// rollout, update, checkpoint: those that were seen.
  [[nodiscard]] std::map<std::string, PhaseImpact> all() const;
  /// Whether evaluations in the slack class are known to cost more in that phase than in another
  /// that takes some of the training's time: by five points at least.
  [[nodiscard]] bool is_costly(telemetry::Phase phase) const;

 private:
  struct Sums {
    double on_seconds = 0;
    double on_work = 0;
    double off_seconds = 0;
    double off_work = 0;

    void add(const Sums& other);
    [[nodiscard]] std::optional<double> loss() const;
  };
  [[nodiscard]] double share(std::size_t kind) const;
  [[nodiscard]] std::optional<double> known_slack_loss(std::size_t kind) const;

  std::array<double, kWorkKinds> free_seconds_{};
  std::array<std::array<Sums, kWorkKinds>, 2> sums_{};  // slack, burst
};

}  // namespace keisei::guard
