#include "shogi/csa_placement.h"

#include <algorithm>

#include "shogi/csa_words.h"
#include "shogi/record_text.h"

namespace keisei::shogi {
namespace {

constexpr std::size_t kSquareAndPiece = 4;  // «77FU»

Piece& at(Placement& placement, Square square) {
  return placement.board[static_cast<std::size_t>(square)];
}

/// «PI82HI22KA»: all pieces but those.
Result<void> read_even_start(const RecordLine& line, CsaPlacement& read) {
  if (read.is_even || read.ranks.any()) {
    return fail_at(line, "PI gives the whole board, and the lines before give it too; keep one");
  }
  read.is_even = true;
  Placement& placement = read.placement;
  placement = Position::start().placement();
  for (std::string_view rest = line.text.substr(2); !rest.empty();
       rest.remove_prefix(kSquareAndPiece)) {
    const auto square = csa_square(rest.substr(0, 2));
    const Kind kind = rest.size() < kSquareAndPiece ? Kind::None : csa_piece(rest.substr(2, 2));
    if (!square || *square == kCsaHand || kind == Kind::None ||
        kind_of(at(placement, *square)) != kind) {
      return fail_at(line, fmt::format("{} names no piece of the even start; write PI82HI22KA",
                                       quoted_text(rest.substr(0, kSquareAndPiece))));
    }
    at(placement, *square) = Piece::None;
  }
  return {};
}

/// «P1-KY * +KI...»: from file 9 to file 1, three characters each; blanks at the end may be gone.
Result<void> read_rank(const RecordLine& line, CsaPlacement& read) {
  constexpr std::size_t kCell = 3;
  const int rank = line.text[1] - '1';
  if (read.is_even || read.ranks.test(static_cast<std::size_t>(rank))) {
    return fail_at(line, "this rank stands in a line before; keep one of them");
  }
  read.ranks.set(static_cast<std::size_t>(rank));
  std::string cells(line.text.substr(2));
  cells.resize(std::max(cells.size(), 9 * kCell), ' ');
  if (!trimmed(std::string_view(cells).substr(9 * kCell)).empty()) {
    return fail_at(line, "a rank has nine squares of three characters");
  }
  for (int file = 8; file >= 0; --file) {
    const std::string_view cell =
        std::string_view(cells).substr(static_cast<std::size_t>(8 - file) * kCell, kCell);
    if (cell == " * ") {
      continue;
    }
    const auto color = color_of_csa_sign(cell[0]);
    const Kind kind = csa_piece(cell.substr(1));
    if (!color || kind == Kind::None) {
      return fail_at(line,
                     fmt::format("{} is no square; write « * », +FU or -FU", quoted_text(cell)));
    }
    Piece& square = at(read.placement, square_at(file, rank));
    if (square != Piece::None) {
      return fail_at(line, fmt::format("{}{} is taken already", file + 1, rank + 1));
    }
    square = make_piece(*color, kind);
  }
  return {};
}

/// All pieces that nobody has yet go into the hand of `color`.
Result<void> take_rest(Color color, const RecordLine& line, Placement& placement) {
  for (int i = 1; i <= kHandKindCount; ++i) {
    const Kind kind = static_cast<Kind>(i);
    const auto used = std::ranges::count_if(placement.board, [kind](Piece piece) {
      return piece != Piece::None && unpromoted(kind_of(piece)) == kind;
    });
    const int rest = kKindTotal[static_cast<std::size_t>(i)] - static_cast<int>(used) -
                     placement.hands[0].count(kind) - placement.hands[1].count(kind);
    if (auto added = add_to_hand(placement, color, kind, std::max(rest, 0)); !added) {
      return fail_at(line, added.error().message);
    }
  }
  return {};
}

/// «P+63OU00FU», «P-00AL»
Result<void> read_pieces(const RecordLine& line, Placement& placement) {
  const Color color = *color_of_csa_sign(line.text[1]);
  for (std::string_view rest = line.text.substr(2); !rest.empty();
       rest.remove_prefix(kSquareAndPiece)) {
    if (rest == "00AL") {
      return take_rest(color, line, placement);
    }
    const auto square = csa_square(rest.substr(0, 2));
    const Kind kind = rest.size() < kSquareAndPiece ? Kind::None : csa_piece(rest.substr(2, 2));
    if (!square || kind == Kind::None) {
      return fail_at(line, fmt::format("{} is no piece on a square; write 77FU, 00FU or 00AL last",
                                       quoted_text(rest.substr(0, kSquareAndPiece))));
    }
    if (*square == kCsaHand) {
      if (auto added = add_to_hand(placement, color, kind, 1); !added) {
        return fail_at(line, added.error().message);
      }
    } else if (at(placement, *square) != Piece::None) {
      return fail_at(line, fmt::format("{} is taken already", rest.substr(0, 2)));
    } else {
      at(placement, *square) = make_piece(color, kind);
    }
  }
  return {};
}

std::string_view piece_word(Kind kind) { return kCsaPieces[static_cast<std::size_t>(index(kind))]; }

void write_rank(const Position& position, int rank, std::string& out) {
  out += fmt::format("P{}", rank + 1);
  for (int file = 8; file >= 0; --file) {
    const Piece piece = position.at(square_at(file, rank));
    out += piece == Piece::None
               ? " * "
               : fmt::format("{}{}", csa_sign(color_of(piece)), piece_word(kind_of(piece)));
  }
  out += '\n';
}

void write_hand(const Position& position, Color color, std::string& out) {
  if (position.hand(color).empty()) {
    return;
  }
  out += fmt::format("P{}", csa_sign(color));
  for (int i = kHandKindCount; i >= 1; --i) {
    const Kind kind = static_cast<Kind>(i);
    for (int held = position.hand(color).count(kind); held > 0; --held) {
      out += fmt::format("00{}", piece_word(kind));
    }
  }
  out += '\n';
}

}  // namespace

Result<void> read_csa_placement(const RecordLine& line, CsaPlacement& read) {
  const char what = line.text.size() > 1 ? line.text[1] : ' ';
  if (what == 'I') {
    return read_even_start(line, read);
  }
  if (what >= '1' && what <= '9') {
    return read_rank(line, read);
  }
  if (color_of_csa_sign(what)) {
    return read_pieces(line, read.placement);
  }
  return fail_at(line, "a position is written as PI, P1 to P9, P+ or P-");
}

std::string to_csa_placement(const Position& start) {
  const bool no_hands = start.hand(Color::Black).empty() && start.hand(Color::White).empty();
  if (no_hands && start.placement().board == Position::start().placement().board) {
    return "PI\n";
  }
  std::string text;
  for (int rank = 0; rank < 9; ++rank) {
    write_rank(start, rank, text);
  }
  write_hand(start, Color::Black, text);
  write_hand(start, Color::White, text);
  return text;
}

}  // namespace keisei::shogi
