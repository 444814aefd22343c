// crash HOW: segv, abort, exit (42), 137 (as a shell says «killed»), kill, xfsz FILE, throw, cores
// (50 children dump core where they may; ends well where none did); without HOW: segv.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <new>
#include <string_view>
#include <vector>

namespace {

int dump_cores() {
  for (int i = 0; i < 50; ++i) {
    if (fork() == 0) {
      std::abort();
    }
  }
  int status = 0;
  int dumped = 0;
  while (wait(&status) > 0) {
    dumped += WCOREDUMP(status) ? 1 : 0;
  }
  return dumped;
}

}  // namespace

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
  if (how == "137") {
    return 137;
  }
  if (how == "kill") {
    std::raise(SIGKILL);
  }
  if (how == "cores") {
    return dump_cores();
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
