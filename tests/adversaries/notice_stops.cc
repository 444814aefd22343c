// notice_stops SECONDS: burns a core for so long, and exits with the number of times that it was
// told to go on.
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

namespace {

volatile sig_atomic_t told = 0;

void note(int /*signal*/) {
  if (told < 100) {
    told = told + 1;
  }
}

double now_s() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  struct sigaction action = {};
  action.sa_handler = note;
  sigaction(SIGCONT, &action, nullptr);
  const double end = now_s() + (argc > 1 ? atof(argv[1]) : 1);
  while (now_s() < end) {
  }
  _exit(told);
}
