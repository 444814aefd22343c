#include "shogi/signature.h"

#include <gtest/gtest.h>

namespace keisei::shogi {
namespace {

// A change of what the engine does on purpose changes this number in the same commit and says why;
// `keisei bench --signature` prints it.
constexpr std::uint64_t kExpected = 0x21dd29b7169e00e7;

TEST(Signature, IsTheOneThatWasCommitted) {
  const Signature signature = run_signature_bench();
  EXPECT_EQ(signature.value, kExpected);
  // The published counts of the trees, and 543 of the last one.
  EXPECT_EQ(signature.nodes,
            719'731U + 105'677 + 28'684 + 248'257 + 2'552'846 + 20'791 + 1'473'109 + 543);
}

TEST(Signature, IsTheSameEveryTime) {
  EXPECT_EQ(run_signature_bench().value, run_signature_bench().value);
}

}  // namespace
}  // namespace keisei::shogi
