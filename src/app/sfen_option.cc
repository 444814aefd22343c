#include "app/sfen_option.h"

#include <CLI/CLI.hpp>

#include "shogi/sfen.h"

namespace keisei::app {

void add_sfen_option(CLI::App& command, std::string& sfen) {
  sfen = shogi::kStartSfen;
  command.add_option("--sfen", sfen, "The position, as «board side hands number» in one argument")
      ->capture_default_str();
}

Result<shogi::Position> read_sfen_option(const std::string& sfen) {
  Result<shogi::Position> position = shogi::parse_sfen(sfen);
  if (!position) {
    return usage_error("--sfen: {}", position.error().message);
  }
  return position;
}

}  // namespace keisei::app
