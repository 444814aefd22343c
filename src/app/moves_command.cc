#include "app/moves_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/sfen_option.h"
#include "shogi/movegen.h"
#include "shogi/sfen.h"
#include "shogi/usi_move.h"

namespace keisei::app {
namespace {

struct MovesOptions {
  std::string sfen;
  bool json = false;
};

Result<int> print_moves(const MovesOptions& options) {
  KEISEI_TRY(position, read_sfen_option(options.sfen));
  shogi::MoveList moves;
  generate_legal(position, moves);
  std::vector<std::string> texts;
  for (const shogi::Move move : moves) {
    texts.push_back(shogi::to_usi(move));
  }
  std::ranges::sort(texts);
  if (options.json) {
    const nlohmann::ordered_json document = {
        {"sfen", shogi::to_sfen(position)}, {"count", texts.size()}, {"moves", texts}};
    fmt::print("{}\n", document.dump(2));
    return kDone;
  }
  for (const std::string& text : texts) {
    fmt::print("{}\n", text);
  }
  return kDone;
}

}  // namespace

void add_moves_command(CLI::App& root, CommandAction& chosen) {
  CLI::App* command =
      root.add_subcommand("moves", "Print the legal moves in USI notation, sorted, one per line");
  const auto options = std::make_shared<MovesOptions>();
  add_sfen_option(*command, options->sfen);
  command->add_flag("--json", options->json, "Print one JSON document: sfen, count, moves");
  command->footer("Example:\n  keisei moves --sfen '8k/9/6NG1/9/9/9/9/9/K8 b P 1'");
  command->callback([options, &chosen] { chosen = [options] { return print_moves(*options); }; });
}

}  // namespace keisei::app
