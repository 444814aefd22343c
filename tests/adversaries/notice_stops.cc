// notice_stops SECONDS: burns a core for so long, and exits with the number of times that it was
// told to go on.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "burn.h"

namespace {

volatile sig_atomic_t told = 0;

void note(int /*signal*/) {
  if (told < 100) {
    told = told + 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  struct sigaction action = {};
  action.sa_handler = note;
  sigaction(SIGCONT, &action, nullptr);
  burn(argc > 1 ? atof(argv[1]) : 1);
  _exit(told);
}
