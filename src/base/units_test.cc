#include "base/units.h"

#include <gtest/gtest.h>

namespace keisei {
namespace {

using namespace std::chrono_literals;

TEST(ParseBytes, KnowsDecimalAndBinaryUnits) {
  EXPECT_EQ(parse_bytes("500MB").value().count, 500'000'000);
  EXPECT_EQ(parse_bytes("64MiB").value().count, 64 * 1024 * 1024);
  EXPECT_EQ(parse_bytes("1.5 GB").value().count, 1'500'000'000);
  EXPECT_EQ(parse_bytes("4096").value().count, 4096);
}

TEST(ParseBytes, RefusesWhatIsNoPositiveSize) {
  for (const char* text :
       {"", "0", "-5MB", "5XB", "MB", "nan", "inf", "1e3MB", "500 M B", "99999999TB"}) {
    const auto parsed = parse_bytes(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::Usage) << text;
  }
}

TEST(ParseDuration, KnowsUnitsAndBareSeconds) {
  EXPECT_EQ(parse_duration("300s").value(), 300s);
  EXPECT_EQ(parse_duration("50ms").value(), 50ms);
  EXPECT_EQ(parse_duration("5m").value(), 300s);
  EXPECT_EQ(parse_duration("2").value(), 2s);
}

TEST(ParseDuration, RefusesZeroNegativeAndUnknownUnits) {
  for (const char* text : {"0", "0s", "-1s", "3 weeks", "s", "1e9h", "500000h"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(ParsePercent, AcceptsTheSignAndRefusesZero) {
  EXPECT_EQ(parse_percent("50%").value(), 50.0);
  EXPECT_EQ(parse_percent("12.5").value(), 12.5);
  EXPECT_FALSE(parse_percent("0%"));
  EXPECT_FALSE(parse_percent("5 percent"));
}

TEST(BytesToString, UsesThreeDigits) {
  EXPECT_EQ(to_string(Bytes{12}), "12 B");
  EXPECT_EQ(to_string(megabytes(500)), "500 MB");
  EXPECT_EQ(to_string(Bytes{1'500'000'000}), "1.5 GB");
}

}  // namespace
}  // namespace keisei
