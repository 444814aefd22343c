#include "guard/phase_losses.h"

#include <numeric>

namespace keisei::guard {
namespace {

constexpr double kKnown = 10;        // seconds on and off, to compare a phase with others
constexpr double kCheaper = 0.05;    // of the rate, what is worth a wait and no noise
constexpr double kWorthAWait = 0.1;  // share of the training's time that a phase takes

}  // namespace

void PhaseLosses::Sums::add(const Sums& other) {
  on_seconds += other.on_seconds;
  on_work += other.on_work;
  off_seconds += other.off_seconds;
  off_work += other.off_work;
}

std::optional<double> PhaseLosses::Sums::loss() const {
  return on_seconds > 0 && off_work > 0
             ? std::optional(1 - (on_work / on_seconds) / (off_work / off_seconds))
             : std::nullopt;
}

void PhaseLosses::count_free(const Amounts& amounts) {
  for (std::size_t kind = 0; kind < kWorkKinds; ++kind) {
    free_seconds_[kind] += amounts[kind].seconds;
  }
}

void PhaseLosses::count_block(const WorkReference& reference, bool burst, const Amounts& on,
                              const Amounts& off) {
  for (std::size_t kind = 0; kind < kWorkKinds; ++kind) {
    const std::optional<double> on_work = reference.seconds_for(kind, on[kind]);
    const std::optional<double> off_work = reference.seconds_for(kind, off[kind]);
    if (on_work && off_work) {
      sums_[burst ? 1 : 0][kind].add({.on_seconds = on[kind].seconds,
                                      .on_work = *on_work,
                                      .off_seconds = off[kind].seconds,
                                      .off_work = *off_work});
    }
  }
}

double PhaseLosses::share(std::size_t kind) const {
  const double all = std::accumulate(free_seconds_.begin(), free_seconds_.end(), 0.0);
  return all > 0 ? free_seconds_[kind] / all : 0;
}

std::map<std::string, PhaseImpact> PhaseLosses::all() const {
  std::map<std::string, PhaseImpact> phases;
  for (std::size_t kind = 0; kind < kWorkKinds; ++kind) {
    if (free_seconds_[kind] > 0) {
      Sums sums = sums_[0][kind];
      sums.add(sums_[1][kind]);
      phases[std::string(kWorkNames[kind])] = {.share = share(kind), .loss = sums.loss()};
    }
  }
  return phases;
}

std::optional<double> PhaseLosses::known_slack_loss(std::size_t kind) const {
  const Sums& sums = sums_[0][kind];
  return sums.on_seconds >= kKnown && sums.off_seconds >= kKnown ? sums.loss() : std::nullopt;
}

bool PhaseLosses::is_costly(telemetry::Phase phase) const {
  const std::optional<std::size_t> here = work_kind(phase);
  const std::optional<double> loss = here ? known_slack_loss(*here) : std::nullopt;
  if (!loss) {
    return false;
  }
  for (std::size_t kind = 0; kind < kWorkKinds; ++kind) {
    const std::optional<double> elsewhere = known_slack_loss(kind);
    if (elsewhere && *elsewhere + kCheaper < *loss && share(kind) >= kWorthAWait) {
      return true;
    }
  }
  return false;
}

}  // namespace keisei::guard
