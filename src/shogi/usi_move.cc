#include "shogi/usi_move.h"

namespace keisei::shogi {
namespace {

constexpr std::string_view kDropLetters = " PLNSBRG";  // by Kind
constexpr std::size_t kQuotedBytes = 100;

/// -1 where there is no such square.
Square read_square(char file, char rank) {
  const bool known = file >= '1' && file <= '9' && rank >= 'a' && rank <= 'i';
  return known ? square_at(file - '1', rank - 'a') : -1;
}

tl::unexpected<Error> not_a_move(std::string_view text) {
  return fail("{} is no move in USI notation; write 7g7f, 2b3c+ or P*5e", in_quotes(text));
}

}  // namespace

std::string to_usi(Square square) {
  return {static_cast<char>('1' + file_of(square)), static_cast<char>('a' + rank_of(square))};
}

std::string to_usi(Move move) {
  if (move.is_drop()) {
    return std::string{kDropLetters[static_cast<std::size_t>(index(move.dropped()))], '*'} +
           to_usi(move.to());
  }
  return to_usi(move.from()) + to_usi(move.to()) + (move.is_promotion() ? "+" : "");
}

Result<Move> parse_usi_move(std::string_view text) {
  const bool promotes = text.size() == 5 && text[4] == '+';
  if (text.size() != 4 && !promotes) {
    return not_a_move(text);
  }
  const Square to = read_square(text[2], text[3]);
  if (to < 0) {
    return not_a_move(text);
  }
  if (text[1] == '*') {
    const std::size_t kind = kDropLetters.find(text[0], 1);
    if (kind == std::string_view::npos || promotes) {
      return not_a_move(text);
    }
    return Move::drop(static_cast<Kind>(kind), to);
  }
  const Square from = read_square(text[0], text[1]);
  if (from < 0 || from == to) {
    return not_a_move(text);
  }
  return promotes ? Move::promotion(from, to) : Move::board(from, to);
}

std::string in_quotes(std::string_view text) {
  std::string out = "«";
  for (const char c : text.substr(0, kQuotedBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  return out + (text.size() > kQuotedBytes ? "...»" : "»");
}

}  // namespace keisei::shogi
