#include "guard/outcome.h"

#include <array>

namespace keisei::guard {
namespace {

constexpr std::array kAll = {
    Outcome::Finished,       Outcome::Partial,         Outcome::TimedOut,
    Outcome::OverMemory,     Outcome::OverProcesses,   Outcome::OverFiles,
    Outcome::ImpactExceeded, Outcome::PolicyViolation, Outcome::Crashed,
    Outcome::StartFailed,    Outcome::BadReport,       Outcome::TrainerLost,
    Outcome::SupervisorLost, Outcome::Unkillable,      Outcome::Cancelled,
    Outcome::Rejected};

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::Finished:
      return "Finished";
    case Outcome::Partial:
      return "Partial";
    case Outcome::TimedOut:
      return "TimedOut";
    case Outcome::OverMemory:
      return "OverMemory";
    case Outcome::OverProcesses:
      return "OverProcesses";
    case Outcome::OverFiles:
      return "OverFiles";
    case Outcome::ImpactExceeded:
      return "ImpactExceeded";
    case Outcome::PolicyViolation:
      return "PolicyViolation";
    case Outcome::Crashed:
      return "Crashed";
    case Outcome::StartFailed:
      return "StartFailed";
    case Outcome::BadReport:
      return "BadReport";
    case Outcome::TrainerLost:
      return "TrainerLost";
    case Outcome::SupervisorLost:
      return "SupervisorLost";
    case Outcome::Unkillable:
      return "Unkillable";
    case Outcome::Cancelled:
      return "Cancelled";
    case Outcome::Rejected:
      return "Rejected";
  }
  return "";
}

std::optional<Outcome> parse_outcome(std::string_view text) {
  for (const Outcome outcome : kAll) {
    if (to_string(outcome) == text) {
      return outcome;
    }
  }
  return std::nullopt;
}

}  // namespace keisei::guard
