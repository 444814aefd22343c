// signal_guard: without a PID namespace it looks for its guard (the parent of its init) and asks
// whether it may signal it, by each call that could. Each has to be refused; the exit code is the
// number of the first that was not.
#include <asm/sockios.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "attempts.h"

namespace {

/// The parent of a process, by /proc/PID/stat, whose second word may hold anything.
pid_t parent_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream rest(text.substr(text.rfind(')') + 1));
  char state = '?';
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

pid_t guard = 0;

const adversary::Attempt kAttempts[] = {
    {"kill", [] { return long{kill(guard, 0)}; }},
    {"tkill", [] { return syscall(SYS_tkill, guard, 0); }},
    {"tgkill", [] { return syscall(SYS_tgkill, guard, guard, 0); }},
    {"sigqueue", [] { return long{sigqueue(guard, 0, {})}; }},
    {"F_SETOWN", [] { return long{fcntl(2, F_SETOWN, guard)}; }},
    {"FIOSETOWN", [] { return long{ioctl(2, FIOSETOWN, &guard)}; }},
};

}  // namespace

int main() {
  guard = parent_of(getppid());
  if (guard <= 1) {
    std::fprintf(stderr, "there is no guard to be seen\n");
    return 99;
  }
  return adversary::first_success(kAttempts);
}
