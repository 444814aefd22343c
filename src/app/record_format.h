#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "shogi/game_record.h"
#include "shogi/record_text.h"

namespace keisei::app {

/// The formats of `keisei convert`: how each is named, read and written.
enum class RecordFormat : std::uint8_t { Csa, Kif, Kifu, Usi };  // Kif: Shift-JIS, Kifu: UTF-8

/// By name («kif») or by the extension of a path («games/a.KIF»).
[[nodiscard]] std::optional<RecordFormat> format_named(std::string_view name);
[[nodiscard]] std::optional<RecordFormat> format_of_path(std::string_view path);
[[nodiscard]] std::string_view to_string(RecordFormat format);

struct DecodedRecords {
  shogi::ReadRecords records;
  shogi::TextEncoding encoding = shogi::TextEncoding::Utf8;
};

/// `bytes` may be UTF-8 or Shift-JIS, whatever the format.
[[nodiscard]] Result<DecodedRecords> decode_records(std::string_view bytes, RecordFormat format);

struct EncodedRecords {
  std::string bytes;
  shogi::LeftOut left_out;
};

/// Fails where there are several games and the format holds one.
[[nodiscard]] Result<EncodedRecords> encode_records(std::span<const shogi::GameRecord> games,
                                                    RecordFormat format);

}  // namespace keisei::app
