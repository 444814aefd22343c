// children_hold CHILDREN MB: each child holds MB megabytes; the parent stays small.
#include <unistd.h>

#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
  if (argc < 3) {
    return 2;
  }
  const int children = std::atoi(argv[1]);
  const auto bytes = static_cast<std::size_t>(std::atoi(argv[2])) * 1'000'000;
  for (int i = 0; i < children; ++i) {
    if (fork() == 0) {
      void* memory = std::malloc(bytes);
      if (memory != nullptr) {
        std::memset(memory, 1, bytes);
        asm volatile("" : : "r"(memory) : "memory");  // the memory must really be touched
      }
      while (true) {
        pause();
      }
    }
  }
  while (true) {
    pause();
  }
}
