#include "os/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keisei::os {
namespace {

TEST(Handshake, IsRefusedOutsideAJail) {
  const Result<JailHandshake> handshake = inherited_handshake();
  ASSERT_FALSE(handshake);
  EXPECT_THAT(handshake.error().message, testing::HasSubstr("keisei guard --strict"));
}

}  // namespace
}  // namespace keisei::os
