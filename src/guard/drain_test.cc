#include "guard/drain.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

namespace keisei::guard {
namespace {

struct TestPipe {
  TestPipe() {
    std::array<int, 2> fds{};
    EXPECT_EQ(pipe2(fds.data(), O_CLOEXEC | O_NONBLOCK), 0);
    read_end = UniqueFd(fds[0]);
    write_end = UniqueFd(fds[1]);
  }
  void say(std::string_view text) const {
    EXPECT_EQ(write(write_end.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  UniqueFd read_end;
  UniqueFd write_end;
};

TEST(Drain, KeepsTheWholeOfWhatFits) {
  TestPipe pipe;
  Drain drain(std::move(pipe.read_end), Drain::Keep::Head, 10);
  pipe.say("0123456789");
  drain.read_available();
  EXPECT_EQ(drain.text(), "0123456789");
  EXPECT_FALSE(drain.overflowed());
}

TEST(Drain, SaysWhenMoreCameThanItKeeps) {
  TestPipe pipe;
  Drain drain(std::move(pipe.read_end), Drain::Keep::Head, 10);
  pipe.say("0123456789x");
  drain.read_available();
  EXPECT_EQ(drain.text(), "0123456789");
  EXPECT_TRUE(drain.overflowed());
}

TEST(Drain, KeepsTheEndOfAFlood) {
  TestPipe pipe;
  Drain drain(std::move(pipe.read_end), Drain::Keep::Tail, 4);
  pipe.say("abcdef");
  drain.read_available();
  pipe.say("gh");
  pipe.write_end.reset();
  drain.read_rest();
  EXPECT_EQ(drain.text(), "efgh");
  EXPECT_EQ(drain.fd(), -1);
}

}  // namespace
}  // namespace keisei::guard
