#include "app/progress_display.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace keisei::app {
namespace {

constexpr std::chrono::seconds kPlainInterval{10};

void write_ignoring_errors(std::string_view text) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

/// A line that is longer than the terminal is wide could not be rewritten.
std::string cut_to_terminal(std::string line) {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) {
    line.resize(std::min<std::size_t>(line.size(), size.ws_col - 1U));
  }
  return line;
}

}  // namespace

ProgressDisplay::ProgressDisplay() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void ProgressDisplay::show(const ProgressState& state, MonotonicTime now) {
  if (terminal_) {
    write_ignoring_errors("\r\x1b[2K" + cut_to_terminal(progress_line(state)));
    dirty_ = true;
  } else if (now - last_ >= kPlainInterval) {
    write_ignoring_errors(progress_line(state) + "\n");
    last_ = now;
  }
}

void ProgressDisplay::clear() {
  if (dirty_) {
    write_ignoring_errors("\r\x1b[2K");
    dirty_ = false;
  }
}

}  // namespace keisei::app
