// hoard_pipes MB: opens pipes until there are no more, as wide as they get, and fills them: memory
// that no process's account shows. Ends well where that came to less than MB megabytes.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char** argv) {
  const long bound = argc > 1 ? std::atol(argv[1]) * 1'000'000 : 0;
  const std::vector<char> block(1 << 20, 'p');
  long held = 0;
  int pipes = 0;
  int ends[2];
  for (; pipes < 1000 && pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0; ++pipes) {
    for (int size = 1 << 20; size > 1 << 16 && fcntl(ends[1], F_SETPIPE_SZ, size) < 0; size /= 2) {
    }
    ssize_t written = 0;
    while ((written = write(ends[1], block.data(), block.size())) > 0) {
      held += written;
    }
  }
  std::fprintf(stderr, "%d pipes hold %ld bytes\n", pipes, held);
  return pipes < 1000 && held < bound ? 0 : 1;
}
