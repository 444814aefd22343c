#include "app/record_format.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "shogi/csa.h"
#include "shogi/kif.h"
#include "shogi/usi_record.h"

namespace keisei::app {
namespace {

struct FormatName {
  std::string_view name;  // also an extension
  RecordFormat format;
};
// The first name of a format is its own.
constexpr std::array<FormatName, 5> kNames = {{{"csa", RecordFormat::Csa},
                                               {"kif", RecordFormat::Kif},
                                               {"kifu", RecordFormat::Kifu},
                                               {"usi", RecordFormat::Usi},
                                               {"sfen", RecordFormat::Usi}}};

Result<shogi::ReadRecords> read(std::string_view text, RecordFormat format) {
  switch (format) {
    case RecordFormat::Csa:
      return shogi::read_csa(text);
    case RecordFormat::Kif:
    case RecordFormat::Kifu:
      return shogi::read_kif(text);
    case RecordFormat::Usi:
      return shogi::read_usi_record(text);
  }
  return fail("no such format");
}

}  // namespace

std::optional<RecordFormat> format_named(std::string_view name) {
  const auto* const found = std::ranges::find(kNames, name, &FormatName::name);
  return found == kNames.end() ? std::nullopt : std::optional(found->format);
}

std::optional<RecordFormat> format_of_path(std::string_view path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return extension.empty() ? std::nullopt : format_named(extension.substr(1));
}

std::string_view to_string(RecordFormat format) {
  return std::ranges::find(kNames, format, &FormatName::format)->name;
}

Result<DecodedRecords> decode_records(std::string_view bytes, RecordFormat format) {
  KEISEI_TRY(decoded, shogi::decode_record(bytes));
  KEISEI_TRY(records, read(decoded.text, format));
  return DecodedRecords{.records = std::move(records), .encoding = decoded.encoding};
}

Result<EncodedRecords> encode_records(std::span<const shogi::GameRecord> games,
                                      RecordFormat format) {
  if (format == RecordFormat::Csa || format == RecordFormat::Usi) {
    shogi::WrittenRecords written =
        format == RecordFormat::Csa ? shogi::write_csa(games) : shogi::write_usi_record(games);
    return EncodedRecords{.bytes = std::move(written.text),
                          .left_out = std::move(written.left_out)};
  }
  if (games.size() != 1) {
    return fail(
        "there are {} games, and a file of {} holds one; choose it with --game N, or write "
        "csa or usi, which hold all",
        games.size(), to_string(format));
  }
  shogi::WrittenRecords written = shogi::write_kif(games.front());
  if (format == RecordFormat::Kifu) {
    return EncodedRecords{.bytes = std::move(written.text),
                          .left_out = std::move(written.left_out)};
  }
  KEISEI_TRY(encoded, shogi::encode_shift_jis(written.text));
  if (encoded.replaced > 0) {
    written.left_out.insert(
        fmt::format("{} characters that Shift-JIS lacks (each became «?»)", encoded.replaced));
  }
  return EncodedRecords{.bytes = std::move(encoded.bytes), .left_out = std::move(written.left_out)};
}

}  // namespace keisei::app
