// map_file PATH MB CODE: maps a new file of MB megabytes, reads all of it and ends with CODE. Its
// RSS is high; the memory that it makes the machine hold is not. Where CODE is «segv» it
// reads the file into the page cache, maps all of it at once, and crashes.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 4) {
    return 2;
  }
  const auto bytes = static_cast<std::size_t>(std::atoi(argv[2])) * 1'000'000;
  const int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    return 2;
  }
  const bool crashes = std::string_view(argv[3]) == "segv";
  if (crashes) {
    std::vector<char> block(1 << 20);
    while (read(fd, block.data(), block.size()) > 0) {
    }
    usleep(100'000);  // a sample sees what it is before, and hardly one what it becomes
  }
  void* mapped = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | (crashes ? MAP_POPULATE : 0), fd, 0);
  if (mapped == MAP_FAILED) {
    return 2;
  }
  if (crashes) {
    std::raise(SIGSEGV);
  }
  const auto* text = static_cast<const volatile char*>(mapped);
  int sum = 0;
  for (std::size_t i = 0; i < bytes; i += 4096) {
    sum += text[i];
  }
  return sum + std::atoi(argv[3]);
}
