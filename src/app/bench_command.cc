#include "app/bench_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "shogi/signature.h"

namespace keisei::app {
namespace {

struct BenchOptions {
  bool signature = false;
  bool json = false;
};

int run_bench(const BenchOptions& options) {
  const MonotonicTime start = MonotonicClock::now();
  const shogi::Signature result = shogi::run_signature_bench();
  const double elapsed = seconds(MonotonicClock::now() - start);
  const std::string value = fmt::format("{:016x}", result.value);
  if (options.json) {
    const nlohmann::ordered_json document = {{"signature", value},
                                             {"nodes", result.nodes},
                                             {"plies", result.plies},
                                             {"seconds", elapsed}};
    fmt::print("{}\n", document.dump(2));
  } else if (options.signature) {
    fmt::print("{}\n", value);
  } else {
    fmt::print("signature {}\nnodes {}\nplies {}\nseconds {:.3f}\n", value, result.nodes,
               result.plies, elapsed);
  }
  return kDone;
}

}  // namespace

void add_bench_command(CLI::App& root, CommandAction& chosen) {
  CLI::App* command = root.add_subcommand(
      "bench", "Run the rules engine's fixed bench: its signature tells whether behaviour changed");
  const auto options = std::make_shared<BenchOptions>();
  command->add_flag("--signature", options->signature, "Print the signature alone");
  command->add_flag("--json", options->json,
                    "Print one JSON document: signature, nodes, plies, seconds");
  command->footer("Example:\n  keisei bench --signature");
  command->callback(
      [options, &chosen] { chosen = [options]() -> Result<int> { return run_bench(*options); }; });
}

}  // namespace keisei::app
