#include "net/torch/planes.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "env/environment.h"
#include "shogi/types.h"

namespace keisei::net {
namespace {

/// Positions of games, and one with the largest value in every field.
std::vector<env::Observation> observations() {
  env::Environment environment(1, {});
  Rng random(5, 0);
  std::vector<env::Observation> seen;
  while (seen.size() < 200) {
    const std::span<const env::Action> legal = environment.legal_actions(0);
    const auto action = legal[random.below(static_cast<std::uint32_t>(legal.size()))];
    if (environment.apply(0, action).terminal) {
      environment.reset(0);
    }
    seen.push_back(environment.observation(0));
  }
  env::Observation full;
  full.board.fill(28);
  for (std::size_t i = 0; i < full.hands.size(); ++i) {
    full.hands[i] = static_cast<std::uint8_t>(shogi::kKindTotal[i % shogi::kHandKindCount + 1]);
  }
  full.repetition = 3;
  full.in_check = 1;
  full.ply = 65534;
  full.ply_cap = 65535;
  seen.push_back(full);
  full.repetition = 1;
  full.ply = 255;
  full.ply_cap = 256;
  seen.push_back(full);
  return seen;
}

at::Tensor packed(const std::vector<env::Observation>& seen) {
  return at::from_blob(const_cast<env::Observation*>(seen.data()),  // read only
                       {std::ssize(seen), static_cast<std::int64_t>(sizeof(env::Observation))},
                       at::kByte);
}

/// The operations that run on a CUDA device, here on the CPU, against the vector code: every float.
TEST(Planes, ExpandedByTensorOperationsAreThoseOfTheVectorCode) {
  const std::vector<env::Observation> seen = observations();
  const at::Tensor expected = planes_of(seen, at::kCPU);
  const at::Tensor expanded = expand_packed(packed(seen));
  EXPECT_EQ(expanded.sizes(), expected.sizes());
  EXPECT_TRUE(expanded.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(at::equal(expanded, expected));
}

}  // namespace
}  // namespace keisei::net
