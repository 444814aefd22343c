#include "pseudo_terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "base/check.h"
#include "base/clock.h"

namespace keisei::testing_support {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) {
    result.push_back(text.data());
  }
  result.push_back(nullptr);
  return result;
}

}  // namespace

PseudoTerminal::PseudoTerminal(std::vector<std::string> argv,
                               std::vector<std::string> environment) {
  int master = -1;
  int slave = -1;
  KEISEI_CHECK(openpty(&master, &slave, nullptr, nullptr, nullptr) == 0, "openpty");
  master_ = UniqueFd(master);
  slave_ = UniqueFd(slave);
  const std::vector<char*> arguments = pointers(argv);
  const std::vector<char*> variables = pointers(environment);
  pid_ = fork();
  KEISEI_CHECK(pid_ >= 0, "fork");
  if (pid_ == 0) {
    login_tty(slave);
    close_range(3, ~0U, 0);
    execve(arguments[0], arguments.data(), variables.data());
    _exit(127);
  }
}

PseudoTerminal::~PseudoTerminal() {
  if (!reaped_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void PseudoTerminal::type(const std::string& keys) const {
  KEISEI_CHECK(write(master_.get(), keys.data(), keys.size()) == std::ssize(keys), "typing");
}

void PseudoTerminal::read_for(std::chrono::milliseconds time) {
  pollfd ready = {.fd = master_.get(), .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, static_cast<int>(time.count())) > 0) {
    char text[4096];
    const ssize_t got = read(master_.get(), text, sizeof text);
    screen_.append(text, got > 0 ? static_cast<std::size_t>(got) : 0);
  }
}

bool PseudoTerminal::shows(const std::string& text) {
  const MonotonicTime deadline = MonotonicClock::now() + kPatience;
  std::size_t found = std::string::npos;
  while ((found = screen_.find(text, seen_)) == std::string::npos) {
    if (MonotonicClock::now() > deadline) {
      return false;
    }
    read_for(20ms);
  }
  seen_ = found + text.size();
  return true;
}

termios PseudoTerminal::modes() const {
  termios modes = {};
  KEISEI_CHECK(tcgetattr(slave_.get(), &modes) == 0, "tcgetattr");
  return modes;
}

void PseudoTerminal::resize(unsigned short columns) const {
  const winsize size = {.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  KEISEI_CHECK(ioctl(master_.get(), TIOCSWINSZ, &size) == 0, "TIOCSWINSZ");
}

std::optional<int> PseudoTerminal::wait() {
  const MonotonicTime deadline = MonotonicClock::now() + kPatience;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (MonotonicClock::now() > deadline) {
      return std::nullopt;
    }
    read_for(5ms);
  }
  reaped_ = true;
  read_for(0ms);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace keisei::testing_support
