#include <algorithm>

#include "shogi/kif.h"
#include "shogi/kif_board.h"
#include "shogi/kif_line.h"
#include "shogi/kif_move.h"
#include "shogi/kif_words.h"
#include "shogi/record_text.h"
#include "shogi/sfen.h"

namespace keisei::shogi {
namespace {

using std::chrono::milliseconds;

/// What the two sides are called: Black, White.
struct SideNames {
  std::string_view black = "先手";
  std::string_view white = "後手";

  [[nodiscard]] std::string_view of(Color color) const {
    return color == Color::Black ? black : white;
  }
};

void write_comment(const std::vector<std::string>& lines, std::string& out) {
  for (const std::string& line : lines) {
    out += "*" + line + "\n";
  }
}

/// Nothing where the position has to be drawn.
const KifHandicap* handicap_of(const Position& start) {
  Placement placement = start.placement();
  placement.move_number = 1;
  for (const KifHandicap& handicap : kif_handicaps()) {
    const Result<Position> named = parse_sfen(handicap.sfen);
    if (handicap.written && named && named->placement() == placement) {
      return &handicap;
    }
  }
  return nullptr;
}

/// Returns what the sides are called from here on.
SideNames write_header(const GameRecord& game, WrittenRecords& written) {
  std::string& out = written.text;
  for (const RecordDetail& detail : game.details) {
    if (!is_kif_detail_key(to_kif_key(detail.key))) {
      written.left_out.insert(fmt::format("the detail {}", quoted_text(detail.key)));
      continue;
    }
    out += fmt::format("{}：{}\n", to_kif_key(detail.key), detail.value);
  }
  const KifHandicap* const handicap = handicap_of(game.start);
  out += fmt::format("手合割：{}\n", handicap == nullptr ? "その他" : handicap->name);
  if (handicap == nullptr) {
    out += draw_kif_board(game.start.placement());
  }
  if (game.start.move_number() != 1) {
    written.left_out.insert("the number of the first move");
  }
  SideNames names;
  if (handicap != nullptr && game.start.side() == Color::White) {
    names = {.black = "下手", .white = "上手"};
  }
  for (const Color color : {Color::Black, Color::White}) {
    const std::string& player = game.players[static_cast<std::size_t>(index(color))];
    if (!player.empty()) {
      out += fmt::format("{}：{}\n", names.of(color), player);
    }
  }
  return names;
}

/// Writes the lines of moves, and adds up each side's time.
class MoveLines {
 public:
  explicit MoveLines(WrittenRecords& written) : written_(written) {}

  void write(std::string_view text, Color color, std::optional<milliseconds> time) {
    written_.text += fmt::format("{:4} {}", ++number_, text);
    if (time) {
      write_time(text, color, *time);
    }
    written_.text += '\n';
  }

 private:
  void write_time(std::string_view text, Color color, milliseconds time) {
    constexpr int kWidth = 13;  // of the column, where a kanji takes two
    const auto wide = std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xF0U) == 0xE0U; });
    const int width = static_cast<int>(text.size()) - static_cast<int>(wide);  // three bytes each
    written_.text.append(static_cast<std::size_t>(std::max(kWidth - width, 1)), ' ');
    if (time.count() % 1000 != 0) {
      written_.left_out.insert("parts of seconds");
    }
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time).count();
    auto& total = totals_[static_cast<std::size_t>(index(color))];
    total += seconds;
    written_.text += fmt::format("({:2}:{:02}/{:02}:{:02}:{:02})", seconds / 60, seconds % 60,
                                 total / 3600, total / 60 % 60, total % 60);
  }

  WrittenRecords& written_;
  int number_ = 0;
  std::array<std::int64_t, 2> totals_{};  // seconds, by Color
};

/// The word for the end, or the nearest one.
std::string_view end_word(RecordEnd end, LeftOut& left_out) {
  const std::string_view exact = kKifEnds[static_cast<std::size_t>(end)];
  if (!exact.empty() || end == RecordEnd::None) {
    return exact;
  }
  const bool drawn = end == RecordEnd::Draw || end == RecordEnd::MaxMoves;
  const RecordEnd nearest = drawn ? RecordEnd::Impasse : RecordEnd::Interruption;
  const std::string_view word = kKifEnds[static_cast<std::size_t>(nearest)];
  left_out.insert(fmt::format("how a game ended ({} stands for it)", word));
  return word;
}

/// «まで97手で先手の勝ち»; empty where KIF has no such line.
std::string summary(const GameRecord& game, std::string_view word, std::string_view mover,
                    std::string_view other) {
  const std::string begin = fmt::format("まで{}手で", game.moves.size());
  switch (game.end) {
    case RecordEnd::Resignation:
    case RecordEnd::Checkmate:
    case RecordEnd::LossByDefault:
      return fmt::format("{}{}の勝ち\n", begin, other);
    case RecordEnd::TimeForfeit:
      return fmt::format("{}時間切れにより{}の勝ち\n", begin, other);
    case RecordEnd::Foul:
    case RecordEnd::OpponentFoul:
    case RecordEnd::Declaration:
      return fmt::format("{}{}の{}\n", begin, mover, word);
    case RecordEnd::WinByDefault:
      return fmt::format("{}{}の勝ち\n", begin, mover);
    case RecordEnd::Interruption:
    case RecordEnd::Repetition:
    case RecordEnd::Impasse:
    case RecordEnd::Draw:
    case RecordEnd::TakeBack:
    case RecordEnd::Fault:
    case RecordEnd::MaxMoves:
      return fmt::format("{}{}\n", begin, word);
    case RecordEnd::NoCheckmate:
    case RecordEnd::None:
      return "";
  }
  return "";
}

}  // namespace

WrittenRecords write_kif(const GameRecord& game) {
  WrittenRecords written;
  const SideNames names = write_header(game, written);
  written.text += "手数----指手---------消費時間--\n";
  write_comment(game.comment, written.text);
  Position position = game.start;
  std::optional<Square> last;
  MoveLines lines(written);
  for (const RecordedMove& played : game.moves) {
    lines.write(to_kif(position, played.move, last), position.side(), played.time);
    write_comment(played.comment, written.text);
    (void)position.do_move(played.move);
    last = played.move.to();
  }
  const Color mover = position.side();
  const std::string_view word = end_word(game.end, written.left_out);
  if (!word.empty()) {
    lines.write(word, mover, game.end_time);
    write_comment(game.end_comment, written.text);
    written.text += summary(game, word, names.of(mover), names.of(opponent(mover)));
  }
  return written;
}

}  // namespace keisei::shogi
