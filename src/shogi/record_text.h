#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace keisei::shogi {

/// The text of record files: bytes <-> UTF-8 -> lines -> words. The one place that knows Shift-JIS.

enum class TextEncoding { Utf8, ShiftJis };

struct DecodedText {
  std::string text;  // UTF-8 without a byte order mark
  TextEncoding encoding = TextEncoding::Utf8;
};

/// A byte order mark, or a first line such as «'CSA encoding=UTF-8» or «#KIF version=2.0
/// encoding=Shift_JIS», says what the bytes are. Where nothing does, bytes that are valid UTF-8 are
/// UTF-8, all others Shift-JIS (CP932, Microsoft's). Fails, and names the line, where they are not
/// what is said, or neither.
[[nodiscard]] Result<DecodedText> decode_record(std::string_view bytes);

struct ShiftJisText {
  std::string bytes;
  int replaced = 0;  // characters that Shift-JIS lacks; each stands there as «?»
};

/// REQUIRES: text is valid UTF-8.
[[nodiscard]] Result<ShiftJisText> encode_shift_jis(std::string_view text);

/// Removes the first line of `text`, and returns it without LF or CRLF; nothing at the end.
[[nodiscard]] std::optional<std::string_view> take_line(std::string_view& text);

/// Without blanks, tabs and ideographic spaces at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

/// Removes `word` from the front of `text`, if it stands there.
[[nodiscard]] bool take(std::string_view& text, std::string_view word);

/// Removes a number of up to nine ASCII digits from the front of `text`; nothing where there is
/// none or a longer one, which stays.
[[nodiscard]] std::optional<int> take_number(std::string_view& text);

/// The text between «», fit for a terminal and cut where it is long; for messages about text in any
/// script.
[[nodiscard]] std::string quoted_text(std::string_view text);

}  // namespace keisei::shogi
