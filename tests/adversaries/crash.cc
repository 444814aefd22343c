// crash HOW: segv, abort, exit, xfsz, throw; without HOW: segv.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <new>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
  const std::string_view how = argc > 1 ? argv[1] : "segv";
  if (how == "segv") {
    volatile int* nowhere = nullptr;
    *nowhere = 1;
  }
  if (how == "abort") {
    std::abort();
  }
  if (how == "exit") {
    return 42;
  }
  if (how == "xfsz" && argc > 2) {
    const int fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const std::vector<char> block(1 << 20, 'x');
    while (write(fd, block.data(), block.size()) > 0) {
    }
  }
  if (how == "throw") {
    throw std::bad_alloc();
  }
  std::raise(SIGSEGV);
  return 0;
}
