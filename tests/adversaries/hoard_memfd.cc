// hoard_memfd: writes memfds of 8 MB that it never maps, so that its RSS stays tiny.
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

int main() {
  const std::vector<char> page(1 << 20, 'x');
  for (int file = 0;; ++file) {
    const int fd = memfd_create("hoard", 0);
    for (int i = 0; i < 8 && fd >= 0; ++i) {
      if (write(fd, page.data(), page.size()) < 0) {
        break;
      }
    }
    if (fd < 0) {
      pause();
    }
  }
}
