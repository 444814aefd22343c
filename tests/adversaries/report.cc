// report WHAT: writes a report to descriptor 3: good, garbage, nan, truncated, huge (100 MB), none,
// slow (in two halves). «flood» fills stderr instead and then reports well.
#include <unistd.h>

#include <string>
#include <string_view>

namespace {

void say(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) {
      _exit(3);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "garbage";
  if (what == "good") {
    say(3, "{\"wins\": 1}");
  } else if (what == "garbage") {
    say(3, std::string("\x00\xff\xfe not json", 13));
  } else if (what == "nan") {
    say(3, "{\"score\": NaN}");
  } else if (what == "truncated") {
    say(3, "{\"wins\": 1, \"los");
  } else if (what == "huge") {
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 100; ++i) {
      say(3, block);
    }
  } else if (what == "slow") {
    say(3, "{\"wins\":");
    usleep(100'000);
    say(3, " 1}");
  } else if (what == "flood") {
    for (int i = 0; i < 20'000; ++i) {
      say(2, "noise and more noise\n");
    }
    say(2, "the-last-line\n");
    say(3, "{\"wins\": 1}");
  }
  return 0;
}
