// wake_up: burns CPU while its children send it, and each other, SIGCONT as fast as they can, so
// that no stop should last.
#include <unistd.h>

#include <csignal>

int main() {
  const pid_t parent = getpid();
  for (int i = 0; i < 2; ++i) {
    if (fork() == 0) {
      while (true) {
        kill(parent, SIGCONT);
        kill(0, SIGCONT);
      }
    }
  }
  while (true) {
    asm volatile("");
  }
}
