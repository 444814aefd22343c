// What the worker profile forbids.
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/jail_internal.h"

namespace keisei::os::jail {
namespace {

// Ways out of the session, the namespaces, the accounting or the filter itself. A name that this
// architecture does not have is skipped.
constexpr const char* kForbidden[] = {
    "setsid",
    // A descriptor in flight keeps its memory and stands in no table that the guard could read.
    "socket",
    "socketpair",
    "sendmsg",
    "sendmmsg",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_getfd",
    "kcmp",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "mount_setattr",
    "bpf",
    "keyctl",
    "add_key",
    "request_key",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "syslog",
    "settimeofday",
    "clock_settime",
    "adjtimex",
    "clock_adjtime",
    "sethostname",
    "setdomainname",
    "iopl",
    "ioperm",
    "personality",
    "vhangup",
    "nfsservctl",
    "lookup_dcookie",
    "mbind",
    "set_mempolicy",
    "migrate_pages",
    "move_pages",
    "shmget",
    "shmat",
    "msgget",
    "semget",
    "mq_open",
    "name_to_handle_at",
    "open_by_handle_at",
    "fanotify_init",
    "ioprio_set",
    "sched_setscheduler",
    "sched_setparam",
    "sched_setattr",
    "sched_setaffinity",
    "setpriority",
    "quotactl_fd",
    "memfd_secret",
};

void drop_capabilities() {
  if (geteuid() != 0) {
    return;  // exec with another user id drops them
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    prctl(PR_CAPBSET_DROP, capability);
  }
  prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                               SECBIT_NO_SETUID_FIXUP_LOCKED);
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) {
    die("capset");
  }
}

void forbid_argument(scmp_filter_ctx filter, int call, scmp_arg_cmp argument) {
  if (seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), call, 1, &argument) != 0) {
    die("seccomp rule");
  }
}

void load_filter() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) {
    die("seccomp");
  }
  for (const char* name : kForbidden) {
    const int call = seccomp_syscall_resolve_name(name);
    if (call >= 0 && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0) != 0) {
      die(name);
    }
  }
  constexpr unsigned long kNamespaces[] = {CLONE_NEWUSER,  CLONE_NEWPID, CLONE_NEWNS,
                                           CLONE_NEWNET,   CLONE_NEWIPC, CLONE_NEWUTS,
                                           CLONE_NEWCGROUP};
  for (const unsigned long flag : kNamespaces) {
    forbid_argument(filter, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
  }
  scmp_arg_cmp undumpable[] = {SCMP_A0(SCMP_CMP_EQ, PR_SET_DUMPABLE), SCMP_A1(SCMP_CMP_EQ, 0)};
  if (seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 2, undumpable) != 0) {
    die("seccomp rule");
  }
  // Its flags lie behind a pointer that a filter cannot follow; libc then uses clone.
  if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) != 0 ||
      seccomp_load(filter) != 0) {
    die("seccomp");
  }
  seccomp_release(filter);
}

}  // namespace

std::uint32_t enter_worker_policy(const Setup& setup) {
  drop_capabilities();
  if ((setup.spec.without & mechanism::kSeccomp) != 0) {
    return 0;
  }
  load_filter();
  return mechanism::kSeccomp;
}

}  // namespace keisei::os::jail
