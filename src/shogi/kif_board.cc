#include "shogi/kif_board.h"

#include "shogi/kif_words.h"
#include "shogi/record_text.h"

namespace keisei::shogi {
namespace {

constexpr std::string_view kEmptySquare = "・";
constexpr std::array<std::string_view, kKindCount> kOneKanji = {
    "", "歩", "香", "桂", "銀", "角", "飛", "金", "玉", "と", "杏", "圭", "全", "馬", "龍"};

/// « ・», « 歩» or «v歩» from the front of `text`; nothing where it is neither.
std::optional<Piece> take_square(std::string_view& text) {
  const bool white = take(text, "v") || take(text, "V");
  if (!white) {
    (void)(take(text, " ") || take(text, "^"));
  }
  if (!white && take(text, kEmptySquare)) {
    return Piece::None;
  }
  const Kind kind = take_kif_piece(text);
  if (kind == Kind::None) {
    return std::nullopt;
  }
  return make_piece(white ? Color::White : Color::Black, kind);
}

std::string draw_hand(Hand hand) {
  std::string text;
  for (const Kind kind : {Kind::Rook, Kind::Bishop, Kind::Gold, Kind::Silver, Kind::Knight,
                          Kind::Lance, Kind::Pawn}) {
    const int count = hand.count(kind);
    if (count > 0) {
      text += kKifPieces[static_cast<std::size_t>(index(kind))];
      text += count > 1 ? kif_count(count) : "";
      text += "　";
    }
  }
  return text.empty() ? "なし" : text;
}

}  // namespace

Result<void> read_kif_rank(const RecordLine& line, int rank, Placement& placement) {
  std::string_view rest = trimmed(line.text);
  (void)take(rest, "|");
  for (int file = 8; file >= 0; --file) {
    const auto piece = take_square(rest);
    if (!piece) {
      return fail_at(
          line, fmt::format("square {} of the row is none; write « ・», « 歩» or «v歩»", 9 - file));
    }
    placement.board[static_cast<std::size_t>(square_at(file, rank))] = *piece;
  }
  if (!rest.empty() && rest.front() != '|') {
    return fail_at(line, "a row has nine squares and ends with |");
  }
  return {};
}

Result<void> read_kif_hand(const RecordLine& line, std::string_view text, Color color,
                           Placement& placement) {
  std::string_view rest = trimmed(text);
  if (rest == "なし") {
    return {};
  }
  while (!rest.empty()) {
    const Kind kind = take_kif_piece(rest);
    if (kind == Kind::None) {
      return fail_at(line, "a hand is written as 飛　金二　歩十八, or なし");
    }
    const std::size_t before = rest.size();
    const auto count = take_kif_count(rest);
    if (!count && rest.size() != before) {
      return fail_at(line, "this is no count of pieces in hand; write 歩十八 or 歩18");
    }
    if (auto added = add_to_hand(placement, color, kind, count.value_or(1)); !added) {
      return fail_at(line, added.error().message);
    }
    rest = trimmed(rest);
  }
  return {};
}

std::string draw_kif_board(const Placement& placement) {
  std::string text =
      fmt::format("後手の持駒：{}\n  ９ ８ ７ ６ ５ ４ ３ ２ １\n+---------------------------+\n",
                  draw_hand(placement.hands[1]));
  for (int rank = 0; rank < 9; ++rank) {
    text += '|';
    for (int file = 8; file >= 0; --file) {
      const Piece piece = placement.board[static_cast<std::size_t>(square_at(file, rank))];
      if (piece == Piece::None) {
        text += fmt::format(" {}", kEmptySquare);
      } else {
        text += color_of(piece) == Color::Black ? ' ' : 'v';
        text += kOneKanji[static_cast<std::size_t>(index(kind_of(piece)))];
      }
    }
    text += fmt::format("|{}\n", kKifRanks[static_cast<std::size_t>(rank)]);
  }
  text +=
      fmt::format("+---------------------------+\n先手の持駒：{}\n", draw_hand(placement.hands[0]));
  return text + (placement.side == Color::White ? "後手番\n" : "");
}

}  // namespace keisei::shogi
