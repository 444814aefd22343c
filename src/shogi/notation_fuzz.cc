#include <cstdint>

#include "base/check.h"
#include "shogi/legality.h"
#include "shogi/sfen.h"
#include "shogi/usi_move.h"

/// Whatever the bytes are: no crash, and what is accepted is written and read again as the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keisei::shogi;
  const std::string text(data, data + size);
  if (const auto position = parse_sfen(text)) {
    const auto again = parse_sfen(to_sfen(*position));
    KEISEI_CHECK(again && *again == *position, "{} reads differently", text);
  }
  if (const auto move = parse_usi_move(text)) {
    KEISEI_CHECK(to_usi(*move) == text, "{} is written differently", text);
    (void)is_legal(Position::start(), *move);
  }
  return 0;
}
