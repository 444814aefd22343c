#include "shogi/record_text.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/printable.h"

namespace keisei::shogi {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kIdeographicSpace = "\u3000";
constexpr std::size_t kQuotedBytes = 60;
constexpr std::size_t kMostDigits = 9;

/// Owns a conversion descriptor of iconv.
class Converter {
 public:
  static Result<Converter> open(const char* to, const char* from) {
    Converter converter(iconv_open(to, from));
    if (!converter.is_open()) {
      return fail_errno(
          fmt::format("converting {} to {} (are libc's gconv modules installed?)", from, to));
    }
    return converter;
  }

  Converter(Converter&& other) noexcept : descriptor_(std::exchange(other.descriptor_, none())) {}
  Converter& operator=(Converter&&) = delete;
  ~Converter() {
    if (is_open()) {
      iconv_close(descriptor_);
    }
  }

  /// Converts up to the first byte of `bytes` that has no counterpart; returns how many were taken.
  /// `out` null: only to know that.
  std::size_t convert(std::string_view bytes, std::string* out) {
    std::array<char, 1 << 14> buffer;            // NOLINT: iconv fills it
    char* in = const_cast<char*>(bytes.data());  // NOLINT: iconv's interface; it only reads
    std::size_t left = bytes.size();
    while (left > 0) {
      char* to = buffer.data();
      std::size_t room = buffer.size();
      const bool stopped =
          iconv(descriptor_, &in, &left, &to, &room) == static_cast<std::size_t>(-1);
      if (out != nullptr) {
        out->append(buffer.data(), buffer.size() - room);
      }
      if (stopped && errno != E2BIG) {
        break;
      }
    }
    return bytes.size() - left;
  }

 private:
  explicit Converter(iconv_t descriptor) : descriptor_(descriptor) {}
  static iconv_t none() { return reinterpret_cast<iconv_t>(-1); }  // NOLINT: iconv's own value
  [[nodiscard]] bool is_open() const { return descriptor_ != none(); }

  iconv_t descriptor_;
};

/// How many bytes at the front of `bytes` are valid UTF-8.
Result<std::size_t> utf8_size(std::string_view bytes) {
  KEISEI_TRY(converter, Converter::open("UTF-16LE", "UTF-8"));
  return converter.convert(bytes, nullptr);
}

std::size_t line_at(std::string_view bytes, std::size_t offset) {
  return 1 + static_cast<std::size_t>(std::ranges::count(bytes.substr(0, offset), '\n'));
}

/// What the first line says, as the specifications of CSA 3.0 and KIF 2.0 let it.
std::optional<TextEncoding> declared_encoding(std::string_view bytes) {
  constexpr std::string_view kWord = "encoding=";
  const std::string_view first = take_line(bytes).value_or("");
  const std::size_t at = first.find(kWord);
  if (!(first.starts_with("'CSA") || first.starts_with("#")) || at == std::string_view::npos) {
    return std::nullopt;
  }
  std::string name(first.substr(at + kWord.size()));
  name.resize(std::min(name.find_first_of(" \t"), name.size()));
  std::ranges::transform(name, name.begin(), [](char c) {
    return c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  if (name == "UTF_8") {
    return TextEncoding::Utf8;
  }
  const bool shift_jis = name == "SHIFT_JIS" || name == "SJIS" || name == "CP932";
  return shift_jis ? std::optional(TextEncoding::ShiftJis) : std::nullopt;
}

/// Of the UTF-8 character that begins `text`.
std::size_t character_size(std::string_view text) {
  std::size_t size = 1;
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) {
    ++size;
  }
  return size;
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

}  // namespace

Result<DecodedText> decode_record(std::string_view bytes) {
  const bool marked = take(bytes, kByteOrderMark);
  const auto declared = marked ? TextEncoding::Utf8 : declared_encoding(bytes);
  if (declared != TextEncoding::ShiftJis) {
    KEISEI_TRY(valid, utf8_size(bytes));
    if (valid == bytes.size()) {
      return DecodedText{.text = std::string(bytes)};
    }
    if (declared) {
      return fail("line {}: no UTF-8, which the {} says it is; save the record in UTF-8",
                  line_at(bytes, valid), marked ? "byte order mark" : "first line");
    }
  }
  KEISEI_TRY(converter, Converter::open("UTF-8", "CP932"));
  DecodedText decoded{.text = {}, .encoding = TextEncoding::ShiftJis};
  const std::size_t taken = converter.convert(bytes, &decoded.text);
  if (taken != bytes.size()) {
    const std::string_view why =
        declared ? "no Shift-JIS, which the first line says it is; save the record in it"
                 : "neither UTF-8 nor Shift-JIS; save the record in one of them";
    return fail("line {}: {}", line_at(bytes, taken), why);
  }
  return decoded;
}

Result<ShiftJisText> encode_shift_jis(std::string_view text) {
  KEISEI_TRY(converter, Converter::open("CP932", "UTF-8"));
  ShiftJisText encoded;
  while (true) {
    text.remove_prefix(converter.convert(text, &encoded.bytes));
    if (text.empty()) {
      return encoded;
    }
    encoded.bytes += '?';
    ++encoded.replaced;
    text.remove_prefix(character_size(text));
  }
}

std::optional<std::string_view> take_line(std::string_view& text) {
  if (text.empty()) {
    return std::nullopt;
  }
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  while (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  }
  return line;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (is_blank(text.front()) || text.starts_with(kIdeographicSpace))) {
    text.remove_prefix(is_blank(text.front()) ? 1 : kIdeographicSpace.size());
  }
  while (!text.empty() && (is_blank(text.back()) || text.ends_with(kIdeographicSpace))) {
    text.remove_suffix(is_blank(text.back()) ? 1 : kIdeographicSpace.size());
  }
  return text;
}

bool take(std::string_view& text, std::string_view word) {
  const bool there = text.starts_with(word);
  text.remove_prefix(there ? word.size() : 0);
  return there;
}

std::optional<int> take_number(std::string_view& text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  int number = 0;
  if (digits > kMostDigits ||
      std::from_chars(text.data(), text.data() + digits, number).ec != std::errc{}) {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  return number;
}

std::string quoted_text(std::string_view text) {
  std::size_t end = std::min(text.size(), kQuotedBytes);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
    --end;  // not through a character
  }
  return fmt::format("«{}{}»", printable(text.substr(0, end)), end < text.size() ? "..." : "");
}

}  // namespace keisei::shogi
