#pragma once

#include <optional>
#include <string>
#include <vector>

#include "guard/performance_manager.h"

namespace keisei::testing_support {

/// One misbehaving program and the one end that it must come to: a line of tests/adversaries/table,
/// which says what may stand there.
struct AdversaryRow {
  int number = 0;                      ///< of the thirty adversaries, docs/safeguards.md
  std::string name;                    ///< of its test: CamelCase
  std::vector<std::string> arguments;  ///< the program in tests/adversaries/ first
  guard::EvaluationLimits limits = {.timeout = std::chrono::seconds(60), .memory = megabytes(100)};
  guard::Outcome outcome = guard::Outcome::Finished;
  std::string cause;  ///< regular expression of the whole sentence
  guard::Profile profile = guard::Profile::Worker;
  guard::Containment containment = guard::Containment::Best;
  guard::Without without = {};
  guard::Scheduling scheduling = guard::Scheduling::Burst;
  bool reports = false;
  Bytes weights;

  Bytes peak;  ///< at most
  std::optional<double> cpu_seconds = std::nullopt;
  guard::ExitRecord exit;          ///< where one of both is set
  std::string said;                ///< part of the kept stderr
  std::string unheld;              ///< part of one of tier.not_enforced
  std::vector<std::string> needs;  ///< of host_mechanisms.h: skipped where the host has it not
  bool paused = false;
};

/// All rows; a message that names the line where one cannot be read.
[[nodiscard]] Result<std::vector<AdversaryRow>> read_adversary_table();

}  // namespace keisei::testing_support
