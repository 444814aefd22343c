#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "guard/limits.h"

namespace keisei::app {

/// The command line of `keisei guard` as written. What may be left out is empty.
struct GuardOptions {
  std::string timeout = "300s";
  std::string memory = "500MB";
  std::string cpu{};
  std::string processes{};
  std::string file_size{};
  std::string slots{};
  std::string report{};
  std::optional<std::string> training{};
  std::string impact{};
  bool strict = false;
  std::vector<std::string> command{};
};

/// Fails (Usage) on the first value that cannot be meant or cannot be kept on a host with this
/// memory; the message names option, value and what to write.
[[nodiscard]] Result<guard::EvaluationLimits> limits_of(const GuardOptions& options,
                                                        Bytes host_memory);

/// The share of the training that `--impact` allows; nothing: it was not given. Fails (Usage) on
/// what cannot be meant, and without --training.
[[nodiscard]] Result<std::optional<double>> impact_limit_of(const GuardOptions& options);

/// Makes the directory of `--slots` where it is missing. Fails (Usage) where no slot can be kept.
[[nodiscard]] Result<void> check_slots(const std::string& directory);

}  // namespace keisei::app
