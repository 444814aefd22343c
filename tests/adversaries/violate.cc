// violate CALL: makes a system call that no evaluation has a reason for, in a way that could not
// succeed. Ends with 1 where the call comes back.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace {

long make(const char* name) {
  if (std::strcmp(name, "setns") == 0) {
    return syscall(SYS_setns, -1, 0);
  }
  if (std::strcmp(name, "reboot") == 0) {
    return syscall(SYS_reboot, 0, 0, 0, nullptr);  // without its magic numbers
  }
  return syscall(SYS_process_vm_writev, -1, nullptr, 0, nullptr, 0, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    return 2;
  }
  make(argv[1]);
  return 1;
}
