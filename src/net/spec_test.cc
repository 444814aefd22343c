#include "net/spec.h"

#include <gmock/gmock.h>

#include <cmath>

namespace keisei::net {
namespace {

using ::testing::HasSubstr;

TEST(NetSpec, ReadsNamesAndWritesThemBack) {
  for (const char* name : {"b2c32", "b4c64", "b6c64", "b10c128", "b20c256", "b1c16"}) {
    const Result<NetSpec> spec = parse_net_spec(name);
    ASSERT_TRUE(spec) << spec.error().message;
    EXPECT_EQ(to_string(*spec), name);
  }
}

TEST(NetSpec, RefusesAnythingElseAndNamesValidOnes) {
  for (const char* name : {"", "b", "b2", "c32", "b2c", "b2c33", "b0c32", "b65c32", "b2c528",
                           "b2c32 ", "b2c32x", "B2C32", "b-2c32", "b02c32", "b2c99999999999"}) {
    const Result<NetSpec> spec = parse_net_spec(name);
    ASSERT_FALSE(spec) << name;
    EXPECT_EQ(spec.error().kind, ErrorKind::Usage);
    EXPECT_THAT(spec.error().message, HasSubstr("b10c128"));
  }
}

TEST(NetSpec, LaysTensorsOutWithoutGapsUnderDistinctNames) {
  const NetSpec spec{.blocks = 4, .channels = 64};
  std::int64_t offset = 0;
  std::vector<std::string> names;
  for (const TensorInfo& tensor : tensor_table(spec)) {
    EXPECT_EQ(tensor.offset, offset) << tensor.name;
    offset += tensor.elements;
    names.push_back(tensor.name);
  }
  EXPECT_EQ(offset, parameter_count(spec));
  EXPECT_EQ(names.size(), 2U + 4U * 8U + 8U);
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

TEST(NetSpec, CountsTheParametersOfTheSmallNetwork) {
  // stem 48*32*9+32, two blocks of 2*(32*32*9+32) + (8*32+8) + (32*8+32), policy 27*32+27,
  // value 8*32+8, 648*64+64, 64*3+3
  EXPECT_EQ(parameter_count({.blocks = 2, .channels = 32}), 13856 + 2 * 19048 + 891 + 264 + 41731);
}

TEST(NetSpec, InitialWeightsDependOnTheSeedAloneAndStartBlocksAsIdentity) {
  const NetSpec spec{.blocks = 2, .channels = 32};
  const std::vector<float> weights = initial_weights(spec, 7);
  EXPECT_EQ(weights, initial_weights(spec, 7));
  EXPECT_NE(weights, initial_weights(spec, 8));
  for (const TensorInfo& tensor : tensor_table(spec)) {
    double squares = 0;
    for (std::int64_t i = 0; i < tensor.elements; ++i) {
      squares += std::pow(weights[static_cast<std::size_t>(tensor.offset + i)], 2);
    }
    const double deviation = std::sqrt(squares / static_cast<double>(tensor.elements));
    EXPECT_NEAR(deviation, tensor.initial_deviation, 0.15 * tensor.initial_deviation)
        << tensor.name;
  }
}

}  // namespace
}  // namespace keisei::net
