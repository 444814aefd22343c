// write_disk DIRECTORY MB [SECONDS]: a child writes MB megabytes to a file that nobody can see any
// more, as far as the disk, and ends. Its parent ends when it has, or SECONDS later.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) {
    return 2;
  }
  if (fork() == 0) {
    const int fd = open(argv[1], O_WRONLY | O_TMPFILE, 0600);
    const std::vector<char> block(1'000'000, 'x');
    for (int i = 0; i < std::atoi(argv[2]); ++i) {
      if (write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) {
        _exit(1);
      }
    }
    _exit(fsync(fd) == 0 ? 0 : 1);
  }
  int status = 1;
  wait(&status);
  if (argc > 3) {
    sleep(static_cast<unsigned>(std::atoi(argv[3])));
  }
  return status == 0 ? 0 : 1;
}
