#include "guard/last_resorts.h"

#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using Act = LastResorts::Act;

constexpr MonotonicTime kSince{100s};

TEST(LastResorts, ATreeThatNeverDiesIsGivenUpAfterFiveSeconds) {
  LastResorts resorts(os::Containment::PidNamespace, kSince);
  EXPECT_EQ(resorts.next(kSince), Act::Wait);
  EXPECT_EQ(resorts.next(kSince + 4999ms), Act::Wait);
  EXPECT_EQ(resorts.wake(), kSince + 5s);
  EXPECT_EQ(resorts.next(kSince + 5s), Act::GiveUp);
}

TEST(LastResorts, AnInitThatSweepsIsRousedOnce) {
  LastResorts resorts(os::Containment::Sweep, kSince);
  EXPECT_EQ(resorts.wake(), kSince + 4s);
  EXPECT_EQ(resorts.next(kSince + 3999ms), Act::Wait);
  EXPECT_EQ(resorts.next(kSince + 4s), Act::RouseInit);
  EXPECT_EQ(resorts.next(kSince + 4500ms), Act::Wait);
  EXPECT_EQ(resorts.wake(), kSince + 5s);
  EXPECT_EQ(resorts.next(kSince + 6s), Act::GiveUp);
}

}  // namespace
}  // namespace keisei::guard
