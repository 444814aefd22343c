// flood: writes to stdout and stderr for ever, as fast as they take it.
#include <fcntl.h>
#include <unistd.h>

#include <string>

int main() {
  const std::string block(1 << 16, 'o');
  fcntl(2, F_SETFL, O_NONBLOCK);
  while (true) {
    (void)!write(1, block.data(), block.size());
    (void)!write(2, block.data(), block.size());
  }
}
