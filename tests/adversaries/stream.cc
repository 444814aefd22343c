// stream [THREADS]: reads and writes 64 MB over and over, for the sake of the memory's bandwidth:
// it slows others down without a share of their processors.
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

[[noreturn]] void stream(std::vector<double>& block) {
  while (true) {
    for (double& value : block) {
      value = value * 1.0000001 + 1;
    }
    asm volatile("" : : "r"(block.data()) : "memory");
  }
}

[[noreturn]] void stream_own() {
  std::vector<double> block(8'000'000, 1.0);
  stream(block);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  for (int i = 1; i < threads; ++i) {
    std::thread(stream_own).detach();
  }
  stream_own();
}
