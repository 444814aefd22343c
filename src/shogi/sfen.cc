#include "shogi/sfen.h"

#include <array>

#include "shogi/usi_move.h"

namespace keisei::shogi {
namespace {

constexpr std::string_view kBlackLetters = " PLNSBRGK";  // by Kind
constexpr std::string_view kWhiteLetters = " plnsbrgk";
constexpr std::array<Kind, 7> kHandOrder = {Kind::Rook,   Kind::Bishop, Kind::Gold, Kind::Silver,
                                            Kind::Knight, Kind::Lance,  Kind::Pawn};
constexpr std::size_t kMaxBytes = 512;
constexpr std::size_t kMaxNumberDigits = 5;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// None where the letter names no piece.
Piece piece_of(char letter) {
  std::size_t kind = kBlackLetters.find(letter, 1);
  if (kind != std::string_view::npos) {
    return make_piece(Color::Black, static_cast<Kind>(kind));
  }
  kind = kWhiteLetters.find(letter, 1);
  return kind == std::string_view::npos ? Piece::None
                                        : make_piece(Color::White, static_cast<Kind>(kind));
}

char letter_of(Color color, Kind unpromoted_kind) {
  const auto i = static_cast<std::size_t>(index(unpromoted_kind));
  return color == Color::Black ? kBlackLetters[i] : kWhiteLetters[i];
}

/// The four fields, or an error.
Result<std::array<std::string_view, 4>> split(std::string_view text) {
  if (text.size() > kMaxBytes) {
    return fail("it is {} bytes long; no position needs more than {}", text.size(), kMaxBytes);
  }
  std::array<std::string_view, 4> fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::size_t end = i + 1 < fields.size() ? text.find(' ') : text.size();
    fields[i] = text.substr(0, end);
    if (end == std::string_view::npos || fields[i].empty()) {
      return fail("it needs four fields with one space between: board, side, hands, move number");
    }
    text.remove_prefix(end + (i + 1 < fields.size() ? 1 : 0));
  }
  return fields;
}

/// Reads one rank from file 9 to file 1.
Result<void> read_rank(std::string_view text, int rank, Placement& placement) {
  const char rank_letter = static_cast<char>('a' + rank);
  int file = 8;
  bool after_digit = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] >= '1' && text[i] <= '9' && !after_digit) {
      file -= text[i] - '0';
      after_digit = true;
      continue;
    }
    after_digit = false;
    const bool promotes = text[i] == '+';
    i += promotes ? 1 : 0;
    Piece piece = i < text.size() ? piece_of(text[i]) : Piece::None;
    if (piece == Piece::None || (promotes && !can_promote(kind_of(piece)))) {
      return fail("rank {}: {} at byte {} is no piece", rank_letter, in_quotes(text), i + 1);
    }
    if (promotes) {
      piece = make_piece(color_of(piece), promoted(kind_of(piece)));
    }
    if (file >= 0) {
      placement.board[static_cast<std::size_t>(square_at(file, rank))] = piece;
    }
    --file;
  }
  if (file != -1) {
    return fail("rank {}: {} has {} squares instead of 9", rank_letter, in_quotes(text), 8 - file);
  }
  return {};
}

Result<void> read_board(std::string_view text, Placement& placement) {
  for (int rank = 0; rank < 9; ++rank) {
    const std::size_t end = rank < 8 ? text.find('/') : text.size();
    if (end == std::string_view::npos) {
      return fail("the board has {} ranks instead of 9", rank + 1);
    }
    KEISEI_TRY_VOID(read_rank(text.substr(0, end), rank, placement));
    text.remove_prefix(end + (rank < 8 ? 1 : 0));
  }
  return {};
}

/// Reads one «18p» or «R» from the front of `text`.
Result<void> read_hand_item(std::string_view& text, Placement& placement) {
  std::size_t digits = 0;
  int count = 0;
  while (digits < text.size() && digits < 3 && is_digit(text[digits])) {
    count = count * 10 + (text[digits] - '0');
    ++digits;
  }
  if (digits > 0 && (text[0] == '0' || count < 2)) {
    return fail("hands: {} has a count that is not 2 or more", in_quotes(text));
  }
  const Piece piece = digits < text.size() ? piece_of(text[digits]) : Piece::None;
  if (piece == Piece::None || kind_of(piece) == Kind::King) {
    return fail("hands: {} does not begin with a piece that can be held", in_quotes(text));
  }
  const Kind kind = kind_of(piece);
  count = digits == 0 ? 1 : count;
  const int total = kKindTotal[static_cast<std::size_t>(index(kind))];
  if (count > total) {
    return fail("hands: {} of {} held; a set has {}", count, text[digits], total);
  }
  Hand& hand = placement.hands[static_cast<std::size_t>(index(color_of(piece)))];
  if (hand.has(kind)) {
    return fail("hands: {} is named twice", text[digits]);
  }
  for (int i = 0; i < count; ++i) {
    hand.add(kind);
  }
  text.remove_prefix(digits + 1);
  return {};
}

Result<void> read_hands(std::string_view text, Placement& placement) {
  if (text == "-") {
    return {};
  }
  while (!text.empty()) {
    KEISEI_TRY_VOID(read_hand_item(text, placement));
  }
  return {};
}

Result<void> read_side(std::string_view text, Placement& placement) {
  if (text != "b" && text != "w") {
    return fail("the side to move is {} instead of b or w", in_quotes(text));
  }
  placement.side = text == "b" ? Color::Black : Color::White;
  return {};
}

Result<void> read_number(std::string_view text, Placement& placement) {
  int number = 0;
  bool valid = text.size() <= kMaxNumberDigits && text[0] != '0';
  for (std::size_t i = 0; valid && i < text.size(); ++i) {
    valid = is_digit(text[i]);
    number = number * 10 + (text[i] - '0');
  }
  if (!valid) {
    return fail("the move number is {} instead of a number in 1..99999", in_quotes(text));
  }
  placement.move_number = number;
  return {};
}

Result<Placement> read_placement(std::string_view text) {
  KEISEI_TRY(fields, split(text));
  Placement placement;
  KEISEI_TRY_VOID(read_board(fields[0], placement));
  KEISEI_TRY_VOID(read_side(fields[1], placement));
  KEISEI_TRY_VOID(read_hands(fields[2], placement));
  KEISEI_TRY_VOID(read_number(fields[3], placement));
  KEISEI_TRY_VOID(validate(placement));
  return placement;
}

void write_rank(const Position& position, int rank, std::string& out) {
  int empty = 0;
  const auto write_empty = [&] {
    if (empty > 0) {
      out += static_cast<char>('0' + empty);
      empty = 0;
    }
  };
  for (int file = 8; file >= 0; --file) {
    const Piece piece = position.at(square_at(file, rank));
    if (piece == Piece::None) {
      ++empty;
      continue;
    }
    write_empty();
    out += is_promoted(kind_of(piece)) ? "+" : "";
    out += letter_of(color_of(piece), unpromoted(kind_of(piece)));
  }
  write_empty();
}

void write_hand(const Position& position, Color color, std::string& out) {
  for (const Kind kind : kHandOrder) {
    const int count = position.hand(color).count(kind);
    if (count > 1) {
      out += std::to_string(count);
    }
    if (count > 0) {
      out += letter_of(color, kind);
    }
  }
}

}  // namespace

Result<Position> parse_sfen(std::string_view text) {
  const Result<Placement> placement = read_placement(text);
  if (!placement) {
    return with_context(placement.error(), fmt::format("SFEN {}", in_quotes(text)));
  }
  return Position(*placement);
}

std::string to_sfen(const Position& position) {
  std::string out;
  for (int rank = 0; rank < 9; ++rank) {
    write_rank(position, rank, out);
    out += rank < 8 ? '/' : ' ';
  }
  out += position.side() == Color::Black ? "b " : "w ";
  const bool no_hands = position.hand(Color::Black).empty() && position.hand(Color::White).empty();
  if (no_hands) {
    out += '-';
  }
  write_hand(position, Color::Black, out);
  write_hand(position, Color::White, out);
  return out + fmt::format(" {}", position.move_number());
}

}  // namespace keisei::shogi
