// fill_disk bytes|files MOST: fills TMPDIR with one file after the other of a MB, or with empty
// ones, at most MOST of them. Ends well where it was refused before that.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
  const char* scratch = std::getenv("TMPDIR");
  if (argc < 3 || scratch == nullptr || chdir(scratch) != 0) {
    return 2;
  }
  std::signal(SIGXFSZ, SIG_IGN);
  const std::vector<char> content(std::string_view(argv[1]) == "bytes" ? 1 << 20 : 0, 'd');
  const int most = std::atoi(argv[2]);
  for (int i = 0; i < most; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "filled-%d", i);
    const int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const ssize_t written = fd < 0 ? -1 : write(fd, content.data(), content.size());
    if (written != static_cast<ssize_t>(content.size())) {
      std::fprintf(stderr, "refused after %d: %s\n", i, std::strerror(errno));
      return 0;
    }
    close(fd);
  }
  return 1;
}
