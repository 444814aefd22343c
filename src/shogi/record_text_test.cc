#include "shogi/record_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keisei::shogi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(RecordText, TakesValidUtf8ForUtf8AndDropsTheByteOrderMark) {
  for (const std::string bytes : {"\xEF\xBB\xBF歩", "歩"}) {
    const auto decoded = decode_record(bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->text, "歩");
    EXPECT_EQ(decoded->encoding, TextEncoding::Utf8);
  }
}

TEST(RecordText, TakesOtherBytesForShiftJis) {
  const auto decoded = decode_record("\x95\xe0\r\n\x83\x5c");  // the second byte of ソ is «\»
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->text, "歩\r\nソ");
  EXPECT_EQ(decoded->encoding, TextEncoding::ShiftJis);
}

TEST(RecordText, NamesTheLineOfBytesThatAreNeither) {
  for (const std::string bytes : {"ok\n\x83\x5c\n\xff\xff", "ok\nok\n\xe6"}) {
    const auto decoded = decode_record(bytes);
    ASSERT_FALSE(decoded);
    EXPECT_THAT(decoded.error().message, HasSubstr("line 3: neither UTF-8 nor Shift-JIS"));
  }
}

TEST(RecordText, ReplacesAndCountsWhatShiftJisLacks) {
  const auto encoded = encode_shift_jis("é歩\U0001F600");
  ASSERT_TRUE(encoded) << encoded.error().message;
  EXPECT_EQ(encoded->bytes, "?\x95\xe0?");
  EXPECT_EQ(encoded->replaced, 2);
}

TEST(RecordText, SplitsLinesAtEitherKindOfBreak) {
  const auto lines_of = [](std::string_view text) {
    std::vector<std::string> lines;
    while (const auto line = take_line(text)) {
      lines.emplace_back(*line);
    }
    return lines;
  };
  EXPECT_THAT(lines_of("a\r\nb\n\nc"), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(lines_of("a\n"), ElementsAre("a"));
  EXPECT_THAT(lines_of(""), ElementsAre());
}

TEST(RecordText, BytesThatAreNotWhatTheRecordSaysAreAnError) {
  for (const std::string declared :
       {"\xEF\xBB\xBF#", "'CSA encoding=UTF-8", "#KIF version=2.0 encoding=utf-8"}) {
    const auto utf8 = decode_record(declared + "\n歩\n");
    ASSERT_TRUE(utf8) << utf8.error().message;
    EXPECT_EQ(utf8->encoding, TextEncoding::Utf8);
    const auto decoded = decode_record(declared + "\n歩\n\x95\xe0\n");  // Shift-JIS
    ASSERT_FALSE(decoded) << declared;
    EXPECT_THAT(decoded.error().message, HasSubstr("line 3: no UTF-8, which the "));
  }
  for (const std::string declared :
       {"'CSA encoding=SHIFT_JIS", "#KIF version=2.0 encoding=Shift_JIS\r"}) {
    const auto decoded = decode_record(declared + "\n\xc3\xa9\n");  // valid UTF-8 as well
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->encoding, TextEncoding::ShiftJis);
    const auto bad = decode_record(declared + "\n\xff\n");
    ASSERT_FALSE(bad) << declared;
    EXPECT_THAT(bad.error().message, HasSubstr("line 2: no Shift-JIS, which the first line says"));
  }
}

TEST(RecordText, TrimsIdeographicSpacesToo) { EXPECT_EQ(trimmed(" \t　平手　 \r"), "平手"); }

TEST(RecordText, TakesANumberWholeOrLeavesIt) {
  std::string_view text = "123456789x";
  EXPECT_EQ(take_number(text), 123456789);
  EXPECT_EQ(text, "x");
  EXPECT_EQ(take_number(text), std::nullopt);
  text = "1234567890";
  EXPECT_EQ(take_number(text), std::nullopt);
  EXPECT_EQ(text, "1234567890");
}

TEST(RecordText, QuotesWithoutControlBytesAndWithoutCuttingACharacter) {
  EXPECT_EQ(quoted_text("\x1b[2J歩"), "«?[2J歩»");
  std::string longer = "a";
  std::string cut = "«a";
  for (int i = 0; i < 30; ++i) {
    longer += "歩";
    cut += i < 19 ? "歩" : "";
  }
  EXPECT_EQ(quoted_text(longer), cut + "...»");
}

}  // namespace
}  // namespace keisei::shogi
