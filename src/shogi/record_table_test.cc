#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "shogi/csa.h"
#include "shogi/kif.h"
#include "shogi/record_text.h"
#include "shogi/test_support.h"
#include "shogi/usi_record.h"

namespace keisei::shogi {
namespace {

namespace fs = std::filesystem;

Result<ReadRecords> read_as(const std::string& format, const std::string& bytes) {
  KEISEI_TRY(decoded, decode_record(bytes));
  if (format == "csa") {
    return read_csa(decoded.text);
  }
  return format == "usi" ? read_usi_record(decoded.text) : read_kif(decoded.text);
}

/// Files of tests/data/records with their moves in USI beside them, as X and X.usi.
std::vector<fs::path> recorded_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(std::string(KEISEI_TEST_DATA) + "/records")) {
    if (fs::exists(entry.path().string() + ".usi")) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

class RecordedFile : public testing::TestWithParam<fs::path> {};

TEST_P(RecordedFile, HasTheMovesThatStandBesideIt) {
  const auto bytes = read_file(GetParam());
  const auto expected = read_file(GetParam().string() + ".usi");
  ASSERT_TRUE(bytes && expected);
  const auto read = read_as(GetParam().extension().string().substr(1), *bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(write_usi_record(read->games).text, *expected);
}
std::string name_of(const testing::TestParamInfo<fs::path>& info) {
  return test_name(info.param.filename().string());
}
INSTANTIATE_TEST_SUITE_P(Data, RecordedFile, testing::ValuesIn(recorded_files()), name_of);

/// «\n» and «\xNN» of a table -> bytes.
std::string unescaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (take(text, "\\n")) {
      out += '\n';
    } else if (take(text, "\\x")) {
      out += static_cast<char>(std::stoi(std::string(text.substr(0, 2)), nullptr, 16));
      text.remove_prefix(2);
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

TEST(BadRecord, IsRefusedWithTheLineAndWhatToDo) {
  const auto rows = read_table("bad_records.tsv");
  EXPECT_GE(rows.size(), 100);
  for (const auto& row : rows) {
    const std::string text = row.size() > 2 ? row[2] : "";
    const auto read = read_as(row[0], unescaped(text));
    if (read) {
      ADD_FAILURE() << row[0] << " was accepted: " << text;
      continue;
    }
    for (const std::string& words : split(row[1], '|')) {
      EXPECT_THAT(read.error().message, testing::HasSubstr(words)) << row[0] << ": " << text;
    }
  }
}

}  // namespace
}  // namespace keisei::shogi
