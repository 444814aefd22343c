// stop_self: stops itself; only SIGCONT or SIGKILL would help.
#include <csignal>

int main() {
  while (true) {
    std::raise(SIGSTOP);
  }
}
