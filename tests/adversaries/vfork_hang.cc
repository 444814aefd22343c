// vfork_hang: the main process waits in the kernel for a vfork child that never lets it go.
#include <unistd.h>

int main() {
  if (vfork() == 0) {
    while (true) {
      pause();
    }
  }
  return 0;
}
