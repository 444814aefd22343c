#include "net/safetensors.h"

#include <gmock/gmock.h>

#include <cstring>

namespace keisei::net {
namespace {

using ::testing::HasSubstr;

std::vector<std::byte> file_of(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::vector<std::byte> file(8 + header.size() + data_bytes);
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, header.data(), header.size());
  return file;
}

/// The header padded so that the data are aligned.
std::vector<std::byte> padded_file_of(std::string header, std::size_t data_bytes) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return file_of(header, data_bytes);
}

std::string error_of(std::span<const std::byte> file) {
  const Result<SafetensorsView> view = parse_safetensors(file);
  return view ? "accepted" : view.error().message;
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const std::vector<float> floats = {1, 2, 3, 4, 5, 6};
  const std::vector<std::uint16_t> words = {7, 8, 9};
  const std::vector<TensorView> tensors = {
      {"w", DType::F32, {2, 3}, std::as_bytes(std::span(floats))},
      {"none", DType::U8, {0}, {}},
      {"moves", DType::U16, {3}, std::as_bytes(std::span(words))}};
  const std::vector<std::byte> file = serialise_safetensors(tensors, {{"net", "b2c32"}});
  const Result<SafetensorsView> view = parse_safetensors(file);
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_EQ(view->metadata.at("net"), "b2c32");
  ASSERT_EQ(view->tensors.size(), 3U);
  const TensorView* const w = view->find("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(w->bytes.data(), floats.data(), w->bytes.size()), 0);
  EXPECT_EQ(view->find("moves")->dtype, DType::U16);
  EXPECT_EQ(view->find("other"), nullptr);
}

TEST(Safetensors, EveryTruncationIsOneClearError) {
  const std::vector<float> floats(8);
  const std::vector<TensorView> tensors = {
      {"w", DType::F32, {8}, std::as_bytes(std::span(floats))}};
  const std::vector<std::byte> file = serialise_safetensors(tensors, {});
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_THAT(error_of(std::span(file).first(size)), HasSubstr("truncated")) << size;
  }
}

TEST(Safetensors, RefusesAHeaderLargerThanAnyRealOne) {
  std::vector<std::byte> file(64, std::byte{0xff});
  EXPECT_THAT(error_of(file), HasSubstr("claims a header"));
}

TEST(Safetensors, RefusesWhatIsNoJsonObjectOfTensors) {
  EXPECT_THAT(error_of(file_of("hello", 0)), HasSubstr("JSON"));
  EXPECT_THAT(error_of(file_of("[1]", 0)), HasSubstr("JSON"));
  EXPECT_THAT(error_of(file_of(R"({"a":1})", 0)), HasSubstr("lacks"));
  EXPECT_THAT(error_of(file_of(R"({"__metadata__":{"a":1}})", 0)), HasSubstr("no text"));
  EXPECT_THAT(error_of(file_of(std::string(100'000, '['), 0)), HasSubstr("JSON"));
  EXPECT_THAT(error_of(file_of("{\"a\":" + std::string(50, '[') + std::string(50, ']') + "}", 0)),
              HasSubstr("JSON"));
}

TEST(Safetensors, RefusesTheSameNameTwice) {
  const std::string tensor = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  EXPECT_THAT(error_of(file_of("{" + tensor + "," + tensor + "}", 1)), HasSubstr("JSON"));
}

TEST(Safetensors, RefusesAnUnknownElementType) {
  EXPECT_THAT(error_of(file_of(R"({"a":{"dtype":"F13","shape":[1],"data_offsets":[0,4]}})", 4)),
              HasSubstr("F13"));
}

TEST(Safetensors, RefusesASizeThatDoesNotAgreeWithTheShape) {
  for (const char* shape : {"[3]", "[-1]", "[1.5]", "[4294967296,4294967296]", "7",
                            "[9223372036854775807]", "[18446744073709551615]"}) {
    const std::string header =
        std::string(R"({"a":{"dtype":"F32","shape":)") + shape + R"(,"data_offsets":[0,8]}})";
    EXPECT_THAT(error_of(padded_file_of(header, 8)), HasSubstr("shape")) << shape;
  }
}

TEST(Safetensors, RefusesOverlapsAndGapsAndTrailingBytes) {
  EXPECT_THAT(error_of(file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                               R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                               6)),
              HasSubstr("overlaps"));
  EXPECT_THAT(error_of(file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6)),
              HasSubstr("gap"));
  EXPECT_THAT(error_of(file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 6)),
              HasSubstr("after the last"));
  EXPECT_THAT(error_of(file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", 4)),
              HasSubstr("data_offsets"));
}

TEST(Safetensors, DataStartAtAMultipleOf64) {
  for (std::size_t length = 1; length < 70; ++length) {
    const std::vector<TensorView> tensors = {{std::string(length, 'x'), DType::U8, {0}, {}}};
    EXPECT_EQ(safetensors_header(tensors, {}).size() % 64, 0U);
  }
}

}  // namespace
}  // namespace keisei::net
