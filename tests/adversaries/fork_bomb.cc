// fork_bomb [MOST]: every process forks as fast as it can. Bounded by a shared counter (1500), so
// that a guard that fails here does not take the machine with it.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <new>

int main(int argc, char** argv) {
  const int most = argc > 1 ? std::atoi(argv[1]) : 1500;
  std::signal(SIGTERM, SIG_IGN);
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return 2;
  }
  auto* forks = new (page) std::atomic<int>(0);
  while (forks->fetch_add(1) < most) {
    fork();
  }
  while (true) {
    pause();
  }
}
