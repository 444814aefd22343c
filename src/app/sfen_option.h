#pragma once

#include <string>

#include "base/result.h"
#include "shogi/position.h"

namespace CLI {
class App;
}

namespace keisei::app {

/// Adds --sfen with the start position as default; the text is stored in `sfen`.
void add_sfen_option(CLI::App& command, std::string& sfen);

/// The position that --sfen names, or a usage error.
[[nodiscard]] Result<shogi::Position> read_sfen_option(const std::string& sfen);

}  // namespace keisei::app
