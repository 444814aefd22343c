// leak [MB_PER_SECOND [PROCESSES]]: allocates and touches memory for ever, in each of so many
// processes; 0 or nothing: as fast as it can.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

int main(int argc, char** argv) {
  constexpr std::size_t kChunk = 1'000'000;
  const int rate = argc > 1 ? std::atoi(argv[1]) : 0;
  const int processes = argc > 2 ? std::atoi(argv[2]) : 1;
  for (int others = processes - 1; others > 0 && fork() != 0; --others) {
  }
  while (true) {
    char* chunk = new char[kChunk];
    std::memset(chunk, 1, kChunk);
    asm volatile("" : : "r"(chunk) : "memory");  // the allocation must really happen
    if (rate > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(1'000'000 / rate));
    }
  }
}
