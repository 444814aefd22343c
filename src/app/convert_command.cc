#include "app/convert_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>

#include "app/record_format.h"
#include "base/file.h"
#include "base/unique_fd.h"

namespace keisei::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStandard = "-";  // stdin or stdout
constexpr int kMostGames = static_cast<int>(shogi::kMostGames);
// Moves take up to 15 times as much memory once they are read, empty comments (*) up to 20 times.
constexpr Bytes kLargestInput = megabytes(64);

struct ConvertOptions {
  std::string in;
  std::string out;
  std::string from;
  std::string to;
  int game = 0;  // 0: all
  bool json = false;
};

struct Formats {
  RecordFormat from;
  RecordFormat to;
};

Result<RecordFormat> format_for(const std::string& path, const std::string& name,
                                std::string_view option) {
  const auto format = name.empty() ? format_of_path(path) : format_named(name);
  if (!format) {
    return usage_error(
        "{} '{}': its extension is not csa, kif, kifu, usi or sfen; say the format "
        "with {}",
        option == "--from" ? "IN" : "OUT", path, option);
  }
  return *format;
}

/// Into the file itself where it is one, through links too; else (a device, a fifo) as bytes.
Result<void> write_out(const std::string& out, std::string_view bytes) {
  const auto plain = std::as_bytes(std::span(bytes.data(), bytes.size()));
  if (out == kStandard) {
    return write_all(STDOUT_FILENO, plain);
  }
  std::error_code error;
  if (fs::is_symlink(fs::symlink_status(out, error)) && !fs::exists(out, error)) {
    return fail(
        "writing {}: it is a link to {}, which is not there; create that, or remove the link", out,
        fs::read_symlink(out, error).string());
  }
  const fs::path path = fs::weakly_canonical(out, error);
  if (error || !fs::exists(path, error) || fs::is_regular_file(path, error)) {
    return write_file_atomically(error ? fs::path(out) : path, plain);
  }
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) {
    return fail_errno(fmt::format("opening {}", out));
  }
  return write_all(fd.get(), plain);
}

Result<void> choose_game(int number, shogi::ReadRecords& records) {
  const auto games = static_cast<int>(records.games.size());
  if (number > games) {
    return usage_error("--game {}: there {} in it", number,
                       games == 1 ? "is 1 game" : fmt::format("are {} games", games));
  }
  if (number > 0) {
    const auto at = static_cast<std::size_t>(number - 1);
    shogi::ReadRecords chosen;
    chosen.games.push_back(std::move(records.games[at]));
    chosen.left_out = std::move(records.left_out_of[at]);
    records = std::move(chosen);
  }
  return {};
}

void print_json(const Formats& formats, const DecodedRecords& read, const EncodedRecords& written) {
  const auto& games = read.records.games;
  const auto moves =
      std::accumulate(games.begin(), games.end(), std::size_t{0},
                      [](std::size_t sum, const auto& game) { return sum + game.moves.size(); });
  const bool shift_jis = read.encoding == shogi::TextEncoding::ShiftJis;
  const nlohmann::ordered_json document = {{"from", to_string(formats.from)},
                                           {"to", to_string(formats.to)},
                                           {"encoding", shift_jis ? "Shift-JIS" : "UTF-8"},
                                           {"games", games.size()},
                                           {"moves", moves},
                                           {"not_read", read.records.left_out},
                                           {"not_written", written.left_out}};
  fmt::print("{}\n", document.dump(2));
}

void warn(std::string_view what, const std::string& path, const shogi::LeftOut& left_out) {
  if (!left_out.empty()) {
    fmt::print(stderr, "keisei: {} {}: {}\n", path, what, fmt::join(left_out, ", "));
  }
}

Result<int> convert(const ConvertOptions& options) {
  if (options.json && options.out == kStandard) {
    return usage_error("--json prints to stdout, and so does OUT '-'; name a file for one of them");
  }
  KEISEI_TRY(from, format_for(options.in, options.from, "--from"));
  KEISEI_TRY(to, format_for(options.out, options.to, "--to"));
  KEISEI_TRY(bytes, options.in == kStandard ? read_all(STDIN_FILENO, "stdin", kLargestInput)
                                            : read_file(options.in, kLargestInput));
  Result<DecodedRecords> read = decode_records(bytes, from);
  if (!read) {
    return with_context(std::move(read).error(), options.in);
  }
  KEISEI_TRY_VOID(choose_game(options.game, read->records));
  Result<EncodedRecords> written = encode_records(read->records.games, to);
  if (!written) {
    return with_context(std::move(written).error(), options.in);
  }
  KEISEI_TRY_VOID(write_out(options.out, written->bytes));
  warn("was not read in full, without", options.in, read->records.left_out);
  warn("has no place for", options.out, written->left_out);
  if (options.json) {
    print_json({from, to}, *read, *written);
  }
  return kDone;
}

}  // namespace

void add_convert_command(CLI::App& root, CommandAction& chosen) {
  CLI::App* command =
      root.add_subcommand("convert", "Convert game records between CSA, KIF, KIFU and USI");
  const auto options = std::make_shared<ConvertOptions>();
  const auto formats = CLI::IsMember({"csa", "kif", "kifu", "usi", "sfen"});
  command->add_option("IN", options->in, "The record; - is stdin")->required();
  command->add_option("OUT", options->out, "Is replaced as a whole, or left alone; - is stdout")
      ->required();
  command->add_option("--from", options->from, "Format of IN, else by its extension")
      ->check(formats);
  command->add_option("--to", options->to, "Format of OUT, else by its extension")->check(formats);
  command->add_option("--game", options->game, "Only game N of IN, from 1")
      ->check(CLI::Range(1, kMostGames));
  command->add_flag("--json", options->json,
                    "Print one JSON document: formats, encoding, games, moves, what was left out");
  command->footer(
      "kif is Shift-JIS, kifu is UTF-8; when reading, either may be in either. Every move is\n"
      "checked; what OUT has no place for is named on stderr.\n"
      "Example:\n  keisei convert game.kif game.csa");
  command->callback([options, &chosen] { chosen = [options] { return convert(*options); }; });
}

}  // namespace keisei::app
