#include "base/printable.h"

#include <gtest/gtest.h>

namespace keisei {
namespace {

TEST(Printable, TakesTerminalControlAway) {
  EXPECT_EQ(printable("a\x1b]0;owned\x07z\n"), "a?]0;owned?z?");
  EXPECT_EQ(printable("«7g7f» ok"), "«7g7f» ok");
}

TEST(Printable, CutsWhatIsTooLong) {
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("abc", 3), "abc");
}

}  // namespace
}  // namespace keisei
