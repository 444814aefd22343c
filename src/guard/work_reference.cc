#include "guard/work_reference.h"

#include <algorithm>
#include <cmath>

namespace keisei::guard {
namespace {

using telemetry::FrameRecord;
using telemetry::Phase;

constexpr double kMemory = 12;        // frames after which half of it is new
constexpr double kLeastTicks = 3;     // of a kind of work, to be a reference
constexpr double kNegligible = 0.02;  // share of a frame in which an unknown kind may stay

std::size_t index(Phase phase) { return static_cast<std::size_t>(phase); }

}  // namespace

double seconds_in(const FrameRecord& frame, Phase phase) {
  return index(phase) < frame.time_ns.size()
             ? static_cast<double>(frame.time_ns[index(phase)]) * 1e-9
             : 0;
}

std::optional<std::size_t> work_kind(Phase phase) {
  switch (phase) {
    case Phase::RolloutEnvironment:
    case Phase::RolloutInference:
      return 0;
    case Phase::Update:
      return 1;
    case Phase::Checkpoint:
      return 2;
    case Phase::Idle:
    case Phase::EvaluationSnapshot:
      return std::nullopt;
  }
  return std::nullopt;
}

Amounts amounts_of(const FrameRecord& frame) {
  Amounts amounts{};
  const std::size_t phases =
      std::min({frame.time_ns.size(), frame.ticks.size(), frame.units.size()});
  for (std::size_t i = 0; i < phases; ++i) {
    if (const auto kind = work_kind(static_cast<Phase>(i))) {
      amounts[*kind].seconds += static_cast<double>(frame.time_ns[i]) * 1e-9;
      amounts[*kind].ticks += static_cast<double>(frame.ticks[i]);
      amounts[*kind].units += static_cast<double>(frame.units[i]);
    }
  }
  return amounts;
}

void WorkReference::take(const Amounts& amounts) {
  const double keep = std::exp2(-1 / kMemory);
  for (std::size_t kind = 0; kind < kWorkKinds; ++kind) {
    if (amounts[kind].ticks > 0) {
      Amount& known = known_[kind];
      known = {.seconds = keep * known.seconds + amounts[kind].seconds,
               .ticks = keep * known.ticks + amounts[kind].ticks,
               .units = keep * known.units + amounts[kind].units};
    }
  }
  ++frames_;
}

std::optional<double> WorkReference::seconds_for(std::size_t kind, const Amount& done) const {
  const Amount& known = known_[kind];
  if (known.ticks < kLeastTicks * 0.5) {  // of ticks that fade
    return std::nullopt;
  }
  return known.units > 0 ? done.units * (known.seconds / known.units)
                         : done.ticks * (known.seconds / known.ticks);
}

std::optional<double> WorkReference::rate_of(const Amounts& amounts) const {
  double length = 0;
  for (const Amount& amount : amounts) {
    length += amount.seconds;
  }
  if (length <= 0 || !known()) {
    return std::nullopt;
  }
  double work = 0;
  for (std::size_t kind = 0; kind < kWorkKinds; ++kind) {
    const std::optional<double> seconds = seconds_for(kind, amounts[kind]);
    if (!seconds && amounts[kind].seconds > kNegligible * length) {
      return std::nullopt;
    }
    work += seconds.value_or(amounts[kind].seconds);
  }
  return work / length;
}

}  // namespace keisei::guard
