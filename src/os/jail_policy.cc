// What the worker profile forbids.
#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "os/jail_internal.h"

namespace keisei::os::jail {
namespace {

// What no evaluation has a reason for: whoever calls it is killed (SIGSYS), and a run whose main
// process ends so is a PolicyViolation. A name that this architecture does not have is skipped.
constexpr const char* kDeadly[] = {
    "process_vm_writev",
    "pidfd_getfd",
    "setns",
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
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "settimeofday",
    "clock_settime",
    "sethostname",
    "setdomainname",
    "iopl",
    "ioperm",
    "vhangup",
    "open_by_handle_at",
};

// Ways out of the session, the namespaces, the accounting or the filter itself that ordinary
// programs try as well: run-time libraries ask for classes, affinities and memory policies, crash
// handlers trace, sandboxes unshare. They are told no. Shared anonymous memory is not on the list:
// multiprocessing libraries live on it, and the guard counts it.
constexpr const char* kForbidden[] = {
    // Bound by numbers for the whole host.
    "io_setup",
    // A signal that no comparison of process ids here could see.
    "pidfd_send_signal",
    "process_mrelease",
    "set_mempolicy_home_node",
    "setsid",
    // A descriptor in flight keeps its memory and stands in no table that the guard could read.
    "socket",
    "socketpair",
    "sendmsg",
    "sendmmsg",
    "ptrace",
    "process_vm_readv",
    "process_madvise",
    "kcmp",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "unshare",
    "mount",
    "bpf",
    "keyctl",
    "add_key",
    "request_key",
    "quotactl",
    "syslog",
    "adjtimex",
    "clock_adjtime",
    "personality",
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
    "fanotify_init",
    "ioprio_set",
    "sched_setscheduler",
    "sched_setparam",
    "sched_setattr",
    "sched_setaffinity",
    "setpriority",
    "quotactl_fd",
    "memfd_secret",
    // A pipe would hold a huge page for every few bytes.
    "vmsplice",
    // Few of them for a whole account.
    "inotify_init",
    "inotify_init1",
    // On a descriptor that was handed in they pass the read-only mounts by, and Landlock.
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
};

// The kernel drops the upper half of a register that holds an int; a filter must, too.
constexpr scmp_datum_t kIntArgument = 0xffffffff;

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

void forbid_where(scmp_filter_ctx filter, int call, scmp_arg_cmp first) {
  if (seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), call, 1, &first) != 0) {
    die("seccomp rule");
  }
}

void answer(scmp_filter_ctx filter, const char* name, std::uint32_t action) {
  const int call = seccomp_syscall_resolve_name(name);
  if (call >= 0 && seccomp_rule_add(filter, action, call, 0) != 0) {
    die(name);
  }
}

void forbid_namespaces(scmp_filter_ctx filter) {
  constexpr unsigned long kNamespaces[] = {CLONE_NEWUSER,  CLONE_NEWPID, CLONE_NEWNS,
                                           CLONE_NEWNET,   CLONE_NEWIPC, CLONE_NEWUTS,
                                           CLONE_NEWCGROUP};
  for (const unsigned long flag : kNamespaces) {
    forbid_where(filter, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
  }
  // A thread with a descriptor table of its own: the guard reads that of its process.
  forbid_where(filter, SCMP_SYS(clone),
               SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_FILES, CLONE_THREAD));
  // Its flags lie behind a pointer that a filter cannot follow; libc then uses clone.
  answer(filter, "clone3", SCMP_ACT_ERRNO(ENOSYS));
}

/// Locks and leases on files that others must open: a reader is enough for them. No lock server is
/// what a network file system says, too.
void forbid_locks(scmp_filter_ctx filter) {
  answer(filter, "flock", SCMP_ACT_ERRNO(ENOLCK));
  for (const int command : {F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE}) {
    const scmp_arg_cmp wanted =
        SCMP_A1(SCMP_CMP_MASKED_EQ, kIntArgument, static_cast<scmp_datum_t>(command));
    if (seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOLCK), SCMP_SYS(fcntl), 1, &wanted) != 0) {
      die("seccomp rule");
    }
  }
}

/// Without a PID namespace the tree shares its numbers with the rest of the user: nobody leaves the
/// process group, which is killed as a whole, and nobody signals everybody, the init or the guard.
void forbid_leaving(scmp_filter_ctx filter, pid_t guard) {
  answer(filter, "setpgid", SCMP_ACT_ERRNO(EPERM));
  for (const pid_t pid : {pid_t{-1}, getppid(), guard}) {
    const auto number = static_cast<scmp_datum_t>(static_cast<std::uint32_t>(pid));
    for (const int call : {SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(tgkill),
                           SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo)}) {
      forbid_where(filter, call, SCMP_A0(SCMP_CMP_MASKED_EQ, kIntArgument, number));
    }
  }
  // A signal of the kernel's own to whoever a file is said to belong to.
  for (const int command : {F_SETOWN, F_SETOWN_EX, F_SETSIG}) {
    forbid_where(filter, SCMP_SYS(fcntl),
                 SCMP_A1(SCMP_CMP_MASKED_EQ, kIntArgument, static_cast<scmp_datum_t>(command)));
  }
  for (const scmp_datum_t request : {FIOSETOWN, SIOCSPGRP}) {
    forbid_where(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, kIntArgument, request));
  }
}

/// False on a kernel that was built without filters. One that has them looks at the filter first,
/// and this one lies nowhere.
bool kernel_has_filters() {
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr) == 0 || errno != EINVAL;
}

void load_filter(const Setup& setup) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr ||
      seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0) {
    die("seccomp");
  }
  for (const char* name : kDeadly) {
    answer(filter, name, SCMP_ACT_KILL_PROCESS);
  }
  for (const char* name : kForbidden) {
    answer(filter, name, SCMP_ACT_ERRNO(EPERM));
  }
  forbid_namespaces(filter);
  forbid_locks(filter);
  if (setup.containment == Containment::Sweep) {
    forbid_leaving(filter, setup.guard);
  }
  forbid_where(filter, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_NE, 0));  // of another process
  scmp_arg_cmp undumpable[] = {SCMP_A0(SCMP_CMP_MASKED_EQ, kIntArgument, PR_SET_DUMPABLE),
                               SCMP_A1(SCMP_CMP_EQ, 0)};
  if (seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 2, undumpable) != 0 ||
      seccomp_load(filter) != 0) {
    die("seccomp");
  }
  seccomp_release(filter);
}

}  // namespace

std::uint32_t enter_worker_policy(const Setup& setup) {
  drop_capabilities();
  if ((setup.spec.without & mechanism::kSeccomp) != 0 || !kernel_has_filters()) {
    return 0;
  }
  load_filter(setup);
  return mechanism::kSeccomp;
}

}  // namespace keisei::os::jail
