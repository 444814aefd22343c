#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "guard/limits.h"
#include "guard/outcome.h"
#include "guard/record.h"

// What `keisei verify` attacks, with what, and how each attack has to end: one table.
namespace keisei::guard {

enum class Thoroughness { Quick, Full };

/// One row. What is empty or absent is not asked of it.
struct Attack {
  std::string promise;                 ///< «time», «memory», ...: what it attacks
  std::string name;                    ///< of the row, for people
  std::string program;                 ///< the NAME that keisei-attack knows
  std::vector<std::string> arguments;  ///< after the cookie
  Profile profile = Profile::Worker;
  EvaluationLimits limits;        ///< of its run
  std::vector<Outcome> accepted;  ///< outcomes that keep the promise
  bool wants_report = false;
  int copies = 1;      ///< asked for at the same moment, over two supervisors
  int companions = 0;  ///< harmless runs that have to succeed beside it

  std::optional<Bytes> most_overshoot = {};  ///< of the tree's peak above `limits.memory`
  bool holds_cpu = false;                    ///< used no more CPU time than `limits.cpu_percent`
  bool on_time = false;                      ///< ended at `limits.timeout`
  std::optional<ExitRecord> exit = {};       ///< that the record has to name
  bool judges_gpu = false;                   ///< the record's account of the GPU
};

/// What the table depends on besides the configuration.
struct AttackGround {
  std::filesystem::path supervisor;  ///< the program `keisei`
  std::filesystem::path directory;   ///< writable, outside every scratch directory
  Bytes host_memory;
  int processors = 1;
};

/// The limits that are attacked: as configured, but no longer, larger or more than proves the
/// mechanism, so that the host stays usable.
[[nodiscard]] EvaluationLimits attacked_limits(const EvaluationLimits& configured,
                                               Thoroughness thoroughness);

/// Why no attack can show that the CPU limit holds; empty where one can.
[[nodiscard]] std::string why_cpu_is_not_attacked(const EvaluationLimits& limits,
                                                  const AttackGround& ground);

/// The rows in the order in which they run. `limits` are attacked_limits().
[[nodiscard]] std::vector<Attack> plan_attacks(const EvaluationLimits& limits,
                                               Thoroughness thoroughness,
                                               const AttackGround& ground);

}  // namespace keisei::guard
