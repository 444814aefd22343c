// map_file PATH MB CODE: maps a new file of MB megabytes, reads all of it and ends with CODE. Its
// RSS is high; the memory that it makes the machine hold is not.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

int main(int argc, char** argv) {
  if (argc < 4) {
    return 2;
  }
  const auto bytes = static_cast<std::size_t>(std::atoi(argv[2])) * 1'000'000;
  const int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    return 2;
  }
  void* mapped = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (mapped == MAP_FAILED) {
    return 2;
  }
  const auto* text = static_cast<const volatile char*>(mapped);
  int sum = 0;
  for (std::size_t i = 0; i < bytes; i += 4096) {
    sum += text[i];
  }
  return sum + std::atoi(argv[3]);
}
