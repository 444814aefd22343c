#include <algorithm>

#include "shogi/csa.h"
#include "shogi/csa_placement.h"
#include "shogi/csa_words.h"
#include "shogi/record_text.h"

namespace keisei::shogi {
namespace {

std::string_view word(Kind kind) { return kCsaPieces[static_cast<std::size_t>(index(kind))]; }

std::string csa(Square square) {
  return fmt::format("{}{}", file_of(square) + 1, rank_of(square) + 1);
}

void write_comment(const std::vector<std::string>& lines, std::string& out) {
  for (const std::string& line : lines) {
    out += "'*" + line + "\n";
  }
}

bool is_csa_key(std::string_view key) {
  return !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
  });
}

/// Without the day of the week, which CSA's dates do not have.
std::string without_weekday(std::string date) {
  for (std::size_t open = date.find('('); open != std::string::npos; open = date.find('(')) {
    const std::size_t close = date.find(')', open);
    if (close == std::string::npos) {
      break;
    }
    date.erase(open, close - open + 1);
  }
  return std::string(trimmed(date));
}

/// «2003/05/03(土) 10:30» -> «2003/05/03 10:30:00»; nothing where it is no date of CSA even so.
std::optional<std::string> csa_date(const std::string& text) {
  std::string date = without_weekday(text);
  std::string shape = date;
  std::ranges::replace_if(
      shape, [](char c) { return c >= '0' && c <= '9'; }, '0');
  if (shape == "0000/00/00 00:00") {
    return date + ":00";
  }
  return shape == "0000/00/00" || shape == "0000/00/00 00:00:00" ? std::optional(date)
                                                                 : std::nullopt;
}

void write_details(const GameRecord& game, WrittenRecords& written) {
  for (const RecordDetail& detail : game.details) {
    const bool free_limit = detail.key == "TIME_LIMIT" &&
                            detail.value.find_first_not_of("0123456789:+") != std::string::npos;
    const bool is_date = detail.key == "START_TIME" || detail.key == "END_TIME";
    const auto value = is_date ? csa_date(detail.value) : std::optional(detail.value);
    if (!is_csa_key(detail.key) || free_limit || !value) {
      written.left_out.insert(fmt::format("the detail {}", quoted_text(detail.key)));
      continue;
    }
    written.text += fmt::format("${}:{}\n", detail.key, *value);
  }
}

void write_start(const Position& start, WrittenRecords& written) {
  if (start.move_number() != 1) {
    written.left_out.insert("the number of the first move");
  }
  written.text += fmt::format("{}{}\n", to_csa_placement(start), csa_sign(start.side()));
}

void write_time(std::optional<std::chrono::milliseconds> time, std::string& out) {
  if (!time) {
    return;
  }
  const auto count = time->count();
  out += fmt::format("T{}", count / 1000);
  if (count % 1000 != 0) {
    out += fmt::format(".{:03}", count % 1000);
  }
  out += '\n';
}

void write_move(const Position& position, Move move, std::string& out) {
  const Kind before = move.is_drop() ? move.dropped() : kind_of(position.at(move.from()));
  out +=
      fmt::format("{}{}{}{}\n", csa_sign(position.side()), move.is_drop() ? "00" : csa(move.from()),
                  csa(move.to()), word(move.is_promotion() ? promoted(before) : before));
}

void write_end(const GameRecord& game, Color mover, WrittenRecords& written) {
  const std::string_view end = kCsaEnds[static_cast<std::size_t>(game.end)];
  if (game.end == RecordEnd::None) {
    return;
  }
  if (end.empty()) {
    written.left_out.insert("a win or a loss by default");
    if (game.end_time || !game.end_comment.empty()) {
      written.left_out.insert("the time and the comments of an end that CSA has no word for");
    }
    return;
  }
  const std::string sign =
      game.end == RecordEnd::OpponentFoul ? std::string{csa_sign(opponent(mover))} : "";
  written.text += fmt::format("%{}{}\n", sign, end);
  write_time(game.end_time, written.text);
  write_comment(game.end_comment, written.text);
}

void write_game(const GameRecord& game, WrittenRecords& written) {
  for (const Color color : {Color::Black, Color::White}) {
    const std::string& name = game.players[static_cast<std::size_t>(index(color))];
    if (!name.empty()) {
      written.text += fmt::format("N{}{}\n", csa_sign(color), name);
    }
  }
  write_details(game, written);
  write_start(game.start, written);
  write_comment(game.comment, written.text);
  Position position = game.start;
  for (const RecordedMove& played : game.moves) {
    write_move(position, played.move, written.text);
    write_time(played.time, written.text);
    write_comment(played.comment, written.text);
    (void)position.do_move(played.move);
  }
  write_end(game, position.side(), written);
}

}  // namespace

WrittenRecords write_csa(std::span<const GameRecord> games) {
  WrittenRecords written;
  written.text = "'CSA encoding=UTF-8\nV3.0\n";
  for (const GameRecord& game : games) {
    written.text += &game == games.data() ? "" : "/\n";
    write_game(game, written);
  }
  return written;
}

}  // namespace keisei::shogi
