#include "guard/wake_set.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <vector>

#include "base/unique_fd.h"

namespace keisei::guard {
namespace {

UniqueFd event() { return UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

TEST(WakeSet, TellsWhichOfItsDescriptorsAreReadable) {
  const UniqueFd quiet = event();
  const UniqueFd loud = event();
  WakeSet wake;
  ASSERT_TRUE(wake.watch(quiet.get()));
  ASSERT_TRUE(wake.watch(loud.get()));
  ASSERT_TRUE(wake.watch(-1));
  EXPECT_FALSE(wake.ready().has(loud.get()));
  ASSERT_EQ(eventfd_write(loud.get(), 1), 0);
  const WakeSet::Ready ready = wake.ready();
  EXPECT_TRUE(ready.has(loud.get()));
  EXPECT_FALSE(ready.has(quiet.get()));
  EXPECT_FALSE(ready.has(-1));
  EXPECT_TRUE(wake.ready().has(loud.get()));  // until it is read
  wake.forget(loud.get());
  EXPECT_FALSE(wake.ready().has(loud.get()));
}

TEST(WakeSet, HasRoomForEight) {
  std::vector<UniqueFd> events;
  WakeSet wake;
  for (int i = 0; i < 8; ++i) {
    events.push_back(event());
    ASSERT_TRUE(wake.watch(events.back().get()));
    ASSERT_EQ(eventfd_write(events.back().get(), 1), 0);
  }
  const WakeSet::Ready ready = wake.ready();
  for (const UniqueFd& one : events) {
    EXPECT_TRUE(ready.has(one.get()));
  }
}

}  // namespace
}  // namespace keisei::guard
