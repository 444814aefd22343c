// map_shared: touches shared anonymous memory for ever, which RLIMIT_DATA does not count.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

int main() {
  constexpr std::size_t kChunk = 4'000'000;
  while (true) {
    void* memory = mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      pause();
    }
    std::memset(memory, 1, kChunk);
  }
}
