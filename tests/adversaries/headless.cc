// headless hoard|share|drop|stay: the first thread ends, so that the process looks dead; another
// one goes on: hoards memfds that it never maps, touches shared memory, also drops it from its page
// table, or only stays.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kChunk = 4'000'000;
constexpr int kMost = 250;  // chunks, should a guard fail

[[noreturn]] void stay() {
  for (int i = 0; i < 1000; ++i) {  // bounded, should a guard fail
    sleep(1);
  }
  _exit(0);
}

[[noreturn]] void hoard() {
  const std::vector<char> block(kChunk, 'x');
  for (int i = 0; i < kMost; ++i) {
    const int fd = memfd_create("hoard", MFD_CLOEXEC);
    (void)!write(fd, block.data(), block.size());
    usleep(1000);
  }
  stay();
}

[[noreturn]] void share(bool drop) {
  for (int i = 0; i < kMost; ++i) {
    void* memory = mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
      std::memset(memory, 1, kChunk);
      (void)(drop && madvise(memory, kChunk, MADV_DONTNEED));
    }
    usleep(1000);
  }
  stay();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "stay";
  std::signal(SIGXFSZ, SIG_IGN);
  std::thread([what] {
    if (what == "hoard") {
      hoard();
    } else if (what == "share" || what == "drop") {
      share(what == "drop");
    }
    stay();
  }).detach();
  syscall(SYS_exit, 0);
}
