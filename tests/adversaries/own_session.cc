// own_session: children try to leave the session, which would give them a scheduler group of their
// own, and burn CPU there. Ends well where all of them were refused.
#include <sys/wait.h>
#include <unistd.h>

int main() {
  for (int i = 0; i < 2; ++i) {
    if (fork() == 0) {
      if (setsid() < 0) {
        _exit(0);
      }
      while (true) {
        asm volatile("");
      }
    }
  }
  while (wait(nullptr) > 0) {
  }
  return 0;
}
