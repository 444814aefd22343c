// hold_locks DIRECTORY: locks every file below DIRECTORY that it can open, in every way there is,
// and stops with the locks held. Ends with 3 where it could open none.
#include <fcntl.h>
#include <sys/file.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

int main(int argc, char** argv) {
  if (argc < 2) {
    return 2;
  }
  int opened = 0;
  int locked = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator file(argv[1], error), end;
       !error && file != end; file.increment(error)) {
    int fd = open(file->path().c_str(), O_RDWR | O_NONBLOCK);
    if (fd < 0) {
      fd = open(file->path().c_str(), O_RDONLY | O_NONBLOCK);
    }
    opened += fd >= 0 ? 1 : 0;
    struct flock whole = {};
    whole.l_type = F_WRLCK;
    locked += fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? 1 : 0;
    locked += fd >= 0 && fcntl(fd, F_SETLK, &whole) == 0 ? 1 : 0;
    whole.l_type = F_RDLCK;
    locked += fd >= 0 && fcntl(fd, F_SETLK, &whole) == 0 ? 1 : 0;
  }
  std::fprintf(stderr, "%d locks\n", locked);
  if (opened == 0) {
    return 3;
  }
  while (true) {
    std::raise(SIGSTOP);
  }
}
