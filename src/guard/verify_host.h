#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guard/performance_manager.h"
#include "guard/verify.h"

namespace keisei::guard {

/// What is attacked, and how.
struct VerifyOptions {
  EvaluationLimits limits;     ///< as configured
  double impact_limit = 0.05;  ///< share of the training, as configured
  Enforcement enforcement = Enforcement::Enabled;
  Containment containment = Containment::Best;  ///< this and the next: safeguards knocked out
  Without without = {};                         ///< on purpose
  Thoroughness thoroughness = Thoroughness::Full;
  std::filesystem::path supervisor;  ///< the program `keisei`
  /// Reads the reports of the rows that attack it, as production reads a worker's.
  std::function<Result<void>(std::string_view)> report_check;
};

struct VerifyRow {
  std::string promise;
  std::string attack;  ///< empty where nothing can attack it
  Finding finding;
  std::optional<AttackEvidence> evidence = std::nullopt;
};

struct VerifyReport {
  EvaluationLimits attacked;  ///< what the attacks ran under
  std::vector<VerifyRow> rows;
  std::vector<std::string> not_enforced;  ///< what the records say that nothing holds
  std::optional<int> interrupted_by = std::nullopt;

  [[nodiscard]] Proof verdict() const;
};

/// Attacks the safeguards on this host down the production road, row by row; `told` hears of each
/// row as it is known. Blocks for seconds. Fails only where nothing can be attacked at all.
[[nodiscard]] Result<VerifyReport> verify_host(const VerifyOptions& options,
                                               const std::function<void(const VerifyRow&)>& told);

}  // namespace keisei::guard
