// attack_weights: tries to change the sealed weights at descriptor 5 or to take them away below
// their readers (SIGBUS). The exit code is the number of the first attempt that was not refused, 0
// where all were.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "attempts.h"

namespace {

constexpr int kWeights = 5;

long map_writable() {
  void* mapped = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kWeights, 0);
  return mapped == MAP_FAILED ? -1 : 0;
}

long write_reopened() {
  const int fd = open("/proc/self/fd/5", O_RDWR | O_CLOEXEC);
  return fd < 0 ? -1 : pwrite(fd, "x", 1, 0);
}

long truncate_reopened() {
  const int fd = open("/proc/self/fd/5", O_WRONLY | O_TRUNC | O_CLOEXEC);
  return fd < 0 ? -1 : 0;
}

const adversary::Attempt kAttempts[] = {
    {"write", [] { return long{pwrite(kWeights, "x", 1, 0)}; }, EPERM},
    {"shrink", [] { return long{ftruncate(kWeights, 0)}; }, EPERM},
    {"grow", [] { return long{ftruncate(kWeights, 1L << 32)}; }, EPERM, EFBIG},
    {"punch a hole",
     [] { return long{fallocate(kWeights, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)}; },
     EPERM},
    {"map for writing", map_writable, EPERM},
    {"one more seal", [] { return long{fcntl(kWeights, F_ADD_SEALS, F_SEAL_SEAL)}; }, EPERM},
    {"write through /proc", write_reopened, EPERM, EACCES},
    {"truncate through /proc", truncate_reopened, EPERM, EACCES},
};

}  // namespace

int main() {
  std::signal(SIGXFSZ, SIG_IGN);  // growing meets the file size limit, too
  return adversary::first_success(kAttempts);
}
