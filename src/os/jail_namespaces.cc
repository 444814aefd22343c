// A worker's own view of the machine: nothing to write to but a scratch that goes with it, no
// network, no IPC object of others, no process of others. What the kernel refuses is left out and
// not among the mechanisms that are returned.
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/jail_internal.h"

namespace keisei::os::jail {
namespace {

constexpr const char* kScratchPath = "/dev/shm";
constexpr int kScratchFiles = 4096;  // an inode is about 1 KB of the kernel's memory

// Each may be a mount of its own, as containers make them.
constexpr const char* kDevicePlaces[] = {"/dev",      "/dev/null",   "/dev/zero",
                                         "/dev/full", "/dev/random", "/dev/urandom"};

/// Devices of no mount but those of /dev. Where that would take /dev/null away, it is not done.
void deny_devices() {
  if (!change_mounts("/", AT_RECURSIVE, MOUNT_ATTR_NODEV, 0)) {
    return;
  }
  for (const char* path : kDevicePlaces) {
    change_mounts(path, 0, 0, MOUNT_ATTR_NODEV);  // fails where it is no mount
  }
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) {
    change_mounts("/", 0, 0, MOUNT_ATTR_NODEV);  // /dev is a plain directory there
  } else {
    close(null);
  }
}

bool make_read_only() {
  // Files that are open stay as they are. A device can be written to on a read-only mount.
  if (!change_mounts("/", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0)) {
    return false;
  }
  deny_devices();
  return true;
}

bool send_scratch(int fd) {
  JailMessage message;
  message.kind = JailMessageKind::Scratch;
  iovec part = {.iov_base = &message, .iov_len = sizeof message};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fd)] = {};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  cmsghdr* passed = CMSG_FIRSTHDR(&header);
  passed->cmsg_level = SOL_SOCKET;
  passed->cmsg_type = SCM_RIGHTS;
  passed->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(passed), &fd, sizeof fd);
  return sendmsg(kJailControlFd, &header, MSG_NOSIGNAL) == ssize_t{sizeof message};
}

/// The mount lives as long as its namespace and the guard's descriptor: nothing is left on the
/// host, whoever is killed.
bool make_scratch(const Setup& setup) {
  const bool program_is_there =
      strncmp(setup.argv[0], kScratchPath, strlen(kScratchPath)) == 0;  // it would be hidden
  if (setup.spec.scratch_bytes == 0 || program_is_there) {
    return false;
  }
  char options[96];
  snprintf(options, sizeof options, "size=%llu,nr_inodes=%d,mode=1777",
           static_cast<unsigned long long>(setup.spec.scratch_bytes), kScratchFiles);
  if (mount("keisei-scratch", kScratchPath, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) {
    return false;
  }
  const int root = open(kScratchPath, O_PATH | O_DIRECTORY | O_CLOEXEC);
  const bool told = root >= 0 && send_scratch(root);
  if (root >= 0) {
    close(root);
  }
  if (!told) {  // what the guard cannot measure must not be there
    umount2(kScratchPath, MNT_DETACH);
    return false;
  }
  setenv("TMPDIR", kScratchPath, 1);
  return true;
}

std::uint32_t enter_mount_namespace(const Setup& setup) {
  const std::uint32_t without = setup.spec.without;
  if ((without & mechanism::kReadOnlyFiles) != 0 || unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return 0;
  }
  std::uint32_t held = 0;
  if (make_read_only()) {
    held |= mechanism::kReadOnlyFiles;
  }
  if (setup.containment != Containment::Sweep && mount_own_proc(MS_RDONLY, nullptr)) {
    held |= mechanism::kOwnProc;
  }
  if ((without & mechanism::kScratch) == 0 && make_scratch(setup)) {
    held |= mechanism::kScratch;
  }
  return held;
}

}  // namespace

bool change_mounts(const char* path, unsigned flags, std::uint64_t set, std::uint64_t clear) {
  mount_attr change = {};
  change.attr_set = set;
  change.attr_clr = clear;
  return syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &change, sizeof change) == 0;
}

std::uint32_t enter_namespaces(const Setup& setup) {
  if (setup.spec.allow_namespaces == 0) {
    return 0;
  }
  struct Namespace {
    int flag;
    std::uint32_t mechanism;
  };
  constexpr Namespace kNamespaces[] = {{CLONE_NEWNET, mechanism::kNetworkNamespace},
                                       {CLONE_NEWIPC, mechanism::kIpcNamespace},
                                       {CLONE_NEWUTS, mechanism::kUtsNamespace}};
  std::uint32_t held = 0;
  for (const Namespace& wanted : kNamespaces) {
    if ((setup.spec.without & wanted.mechanism) == 0 && unshare(wanted.flag) == 0) {
      held |= wanted.mechanism;
    }
  }
  return held | enter_mount_namespace(setup);
}

}  // namespace keisei::os::jail
