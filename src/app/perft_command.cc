#include "app/perft_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "app/sfen_option.h"
#include "base/clock.h"
#include "shogi/perft.h"
#include "shogi/sfen.h"
#include "shogi/usi_move.h"

namespace keisei::app {
namespace {

constexpr int kMaxDepth = 30;

struct PerftOptions {
  int depth = 0;
  std::string sfen;
  bool divide = false;
  bool no_bulk = false;
  bool json = false;
};

struct PerftResult {
  std::uint64_t nodes = 0;
  double seconds = 0;
  std::map<std::string, std::uint64_t> branches;  // by USI move; with --divide only

  [[nodiscard]] double rate() const {
    return seconds > 0 ? static_cast<double>(nodes) / seconds : 0;
  }
};

PerftResult measure(const shogi::Position& position, const PerftOptions& options) {
  const shogi::PerftLeaves leaves =
      options.no_bulk ? shogi::PerftLeaves::Played : shogi::PerftLeaves::Bulk;
  PerftResult result;
  const MonotonicTime start = MonotonicClock::now();
  if (options.divide) {
    for (const auto& branch : shogi::perft_divide(position, options.depth, leaves)) {
      result.branches[shogi::to_usi(branch.move)] = branch.nodes;
      result.nodes += branch.nodes;
    }
  } else {
    result.nodes = shogi::perft(position, options.depth, leaves);
  }
  result.seconds = seconds(MonotonicClock::now() - start);
  return result;
}

void print_json(const shogi::Position& position, const PerftOptions& options,
                const PerftResult& result) {
  nlohmann::ordered_json document = {
      {"sfen", shogi::to_sfen(position)}, {"depth", options.depth},
      {"bulk", !options.no_bulk},         {"nodes", result.nodes},
      {"seconds", result.seconds},        {"nodes_per_second", result.rate()}};
  if (options.divide) {
    document["divide"] = result.branches;
  }
  fmt::print("{}\n", document.dump(2));
}

Result<int> run_perft(const PerftOptions& options) {
  KEISEI_TRY(position, read_sfen_option(options.sfen));
  if (options.divide && options.depth == 0) {
    return usage_error("--divide counts by first move: give a DEPTH of 1 or more");
  }
  const PerftResult result = measure(position, options);
  if (options.json) {
    print_json(position, options, result);
    return kDone;
  }
  for (const auto& [move, nodes] : result.branches) {
    fmt::print("{}: {}\n", move, nodes);
  }
  fmt::print("nodes {}\nseconds {:.3f}\nnodes_per_second {:.0f}\n", result.nodes, result.seconds,
             result.rate());
  return kDone;
}

}  // namespace

void add_perft_command(CLI::App& root, CommandAction& chosen) {
  CLI::App* command = root.add_subcommand(
      "perft", "Count the sequences of legal moves of a length, and how fast that goes");
  const auto options = std::make_shared<PerftOptions>();
  command->add_option("DEPTH", options->depth, "Plies")
      ->required()
      ->check(CLI::Range(0, kMaxDepth));
  add_sfen_option(*command, options->sfen);
  command->add_flag("--divide", options->divide, "Print the count for each first move as well");
  command->add_flag("--no-bulk", options->no_bulk,
                    "Play every move of the last ply instead of counting the list");
  command->add_flag("--json", options->json,
                    "Print one JSON document: nodes, seconds, nodes_per_second");
  command->footer("Example:\n  keisei perft 5");
  command->callback([options, &chosen] { chosen = [options] { return run_perft(*options); }; });
}

}  // namespace keisei::app
