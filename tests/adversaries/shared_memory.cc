// shared_memory ipc|files COOKIE: tries to make memory that outlives it or that nobody's account
// shows: System V segments, queues and semaphores and POSIX queues, or files on /tmp, where that
// may be memory too, and one on /dev/shm, which is its own and must go with it. The exit code is
// the number of the first attempt that was not refused, 0 where all were.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "attempts.h"
#include "cookie.h"

namespace {

std::string run_name;
int key = 0;

long make_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  return fd < 0 ? -1 : ftruncate(fd, 1 << 20);
}

long make_queue() {
  return long{mq_open(("/" + run_name).c_str(), O_RDWR | O_CREAT, 0600, nullptr)};
}

const adversary::Attempt kIpcAttempts[] = {
    {"shmget", [] { return long{shmget(key, 1 << 20, IPC_CREAT | 0600)}; }, EPERM},
    {"msgget", [] { return long{msgget(key, IPC_CREAT | 0600)}; }, EPERM},
    {"semget", [] { return long{semget(key, 1, IPC_CREAT | 0600)}; }, EPERM},
    {"mq_open", make_queue, EPERM},
};

/// Allowed, and to be found by nobody afterwards.
long fill_scratch() {
  (void)make_file("/dev/shm/" + run_name);
  errno = EROFS;
  return -1;
}

const adversary::Attempt kFileAttempts[] = {
    {"/dev/shm", fill_scratch, EROFS},
    {"/tmp", [] { return make_file("/tmp/" + run_name + ".left"); }, EACCES, EROFS},
    {"/var/tmp", [] { return make_file("/var/tmp/" + run_name + ".left"); }, EACCES, EROFS},
};

}  // namespace

int main(int argc, char** argv) {
  run_name = adversary::run_name(argv[argc - 1]);
  key = adversary::ipc_key(argv[argc - 1]);
  make_file("/dev/shm/" + run_name);
  return std::string_view(argv[1]) == "files" ? adversary::first_success(kFileAttempts)
                                              : adversary::first_success(kIpcAttempts);
}
