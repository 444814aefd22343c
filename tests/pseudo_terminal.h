#pragma once

#include <sys/types.h>
#include <termios.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace keisei::testing_support {

/// A program at a terminal of its own, as somebody at a keyboard has it: the program leads the
/// terminal's session and its foreground group. Killed with what is in its session when it goes.
class PseudoTerminal {
 public:
  PseudoTerminal(std::vector<std::string> argv, std::vector<std::string> environment);
  ~PseudoTerminal();
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void type(const std::string& keys) const;
  /// Waits until the screen shows `text` behind what earlier calls found; false after 20 s.
  [[nodiscard]] bool shows(const std::string& text);
  /// Everything so far.
  [[nodiscard]] const std::string& screen() const { return screen_; }
  [[nodiscard]] termios modes() const;
  void resize(unsigned short columns) const;
  /// The exit code, 128+n for a signal; nothing after 20 s.
  [[nodiscard]] std::optional<int> wait();

 private:
  void read_for(std::chrono::milliseconds time);

  UniqueFd master_;
  UniqueFd slave_;  // stays open, so that the terminal outlives the program
  pid_t pid_ = -1;
  bool reaped_ = false;
  std::string screen_;
  std::size_t seen_ = 0;
};

}  // namespace keisei::testing_support
