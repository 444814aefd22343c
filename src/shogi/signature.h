#pragma once

#include <cstdint>

namespace keisei::shogi {

/// What the fixed bench saw. `value` depends on every move list in its order, every key, every
/// ending: a change that was not to alter the engine's behaviour leaves it as it is.
struct Signature {
  std::uint64_t value = 0;
  std::uint64_t nodes = 0;  ///< of the fixed positions' trees
  std::uint64_t plies = 0;  ///< of the random games
};

/// Walks the trees of fixed positions (two to four plies, every move played) and plays 200 seeded
/// random games. One thread, less than a tenth of a second.
[[nodiscard]] Signature run_signature_bench();

}  // namespace keisei::shogi
