#include "shogi/usi_record.h"

#include <algorithm>
#include <utility>

#include "shogi/record_builder.h"
#include "shogi/record_text.h"
#include "shogi/sfen.h"
#include "shogi/usi_move.h"

namespace keisei::shogi {
namespace {

constexpr std::string_view kUsage =
    "a game is written as «position startpos moves 7g7f ...» or «position sfen SFEN moves ...»";

std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text = trimmed(text.substr(end));
  return word;
}

/// Takes what stands before the moves.
Result<Position> take_start(const RecordLine& line, std::string_view& rest) {
  const std::string_view word = take_word(rest);
  if (word == "startpos") {
    return Position::start();
  }
  if (word != "sfen") {
    return fail_at(line, kUsage);
  }
  std::string sfen;
  for (int field = 0; field < 4; ++field) {
    sfen += field == 0 ? "" : " ";
    sfen += take_word(rest);
  }
  Result<Position> start = parse_sfen(sfen);
  if (!start) {
    return fail_at(line, start.error().message);
  }
  return start;
}

Result<GameRecord> read_game(const RecordLine& line, std::vector<std::string> comment) {
  std::string_view rest = trimmed(line.text);
  if (take(rest, "position ")) {
    rest = trimmed(rest);
  }
  KEISEI_TRY(start, take_start(line, rest));
  RecordBuilder builder;
  builder.begin(start);
  builder.record().comment = std::move(comment);
  if (!rest.empty() && take_word(rest) != "moves") {
    return fail_at(line, kUsage);
  }
  while (!rest.empty()) {
    const std::string_view word = take_word(rest);
    const RecordLine place = {line.number, word};
    const Result<Move> move = parse_usi_move(word);
    if (!move) {
      return fail("line {}: move {}: {}", line.number, builder.record().moves.size() + 1,
                  move.error().message);
    }
    KEISEI_TRY_VOID(builder.play(*move, place));
  }
  return builder.finish();
}

void write_game(const GameRecord& game, WrittenRecords& written) {
  for (const std::string& line : game.comment) {
    written.text += line.empty() ? "#\n" : fmt::format("# {}\n", line);
  }
  written.text += "position ";
  written.text += game.start == Position::start() ? "startpos" : "sfen " + to_sfen(game.start);
  written.text += game.moves.empty() ? "" : " moves";
  for (const RecordedMove& played : game.moves) {
    written.text += ' ' + to_usi(played.move);
  }
  written.text += '\n';
}

void name_what_is_lost(const GameRecord& game, LeftOut& left_out) {
  const auto name = [&](bool lost, const char* what) {
    if (lost) {
      left_out.insert(what);
    }
  };
  name(!game.players[0].empty() || !game.players[1].empty(), "names of players");
  name(!game.details.empty(), "details (event, dates and the like)");
  name(game.end != RecordEnd::None, "how games ended");
  name(game.end_time ||
           std::ranges::any_of(game.moves, [](const auto& m) { return m.time.has_value(); }),
       "times");
  name(!game.end_comment.empty() ||
           std::ranges::any_of(game.moves, [](const auto& m) { return !m.comment.empty(); }),
       "comments after moves");
}

}  // namespace

Result<ReadRecords> read_usi_record(std::string_view text) {
  ReadRecords read;
  std::vector<std::string> comment;
  RecordLine line;
  while (const auto row = take_line(text)) {
    line = {line.number + 1, *row};
    const std::string_view words = trimmed(*row);
    if (words.empty()) {
      continue;
    }
    if (words.front() == '#') {
      std::string_view said = row->substr(row->find('#') + 1);
      (void)take(said, " ");
      comment.emplace_back(said);
      continue;
    }
    KEISEI_TRY_VOID(expect_another_game(line, read));
    KEISEI_TRY(game, read_game(line, std::exchange(comment, {})));
    read.games.push_back(std::move(game));
    read.left_out_of.emplace_back();
  }
  if (read.games.empty()) {
    return fail("there is no game in it; {}", kUsage);
  }
  if (!comment.empty()) {
    read.left_out.insert("comments after the last game");
  }
  return read;
}

WrittenRecords write_usi_record(std::span<const GameRecord> games) {
  WrittenRecords written;
  for (const GameRecord& game : games) {
    write_game(game, written);
    name_what_is_lost(game, written.left_out);
  }
  return written;
}

}  // namespace keisei::shogi
