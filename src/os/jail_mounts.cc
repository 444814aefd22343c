// What the mounts of a command that is no worker show it: a /proc of its own, and cgroups that it
// cannot change. All other mounts are left as they are.
//
// In a PID namespace a process has a number of its own, and with the /proc of the namespace outside
// it finds somebody else, or nobody, under that number: CUDA then refuses to start (cuInit: error
// 304), and a shell's /proc/$$ is a stranger's.
//
// The cgroup of a run belongs to the account of the run: who may write there can move its init to
// where all are frozen, or freeze the guard.
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "os/jail_internal.h"

namespace keisei::os::jail {
namespace {

constexpr const char* kProc = "/proc";
constexpr const char* kUnderProc = "/proc/";
constexpr int kMostMounts = 64;
constexpr int kLongestPath = 256;
constexpr int kLongestOptions = 128;

/// A line of /proc/self/mountinfo.
struct Mount {
  int id;
  int parent;
  char point[kLongestPath];
};

/// What somebody mounted inside /proc: a container hides files that way (/proc/kcore), or shows
/// others (its own meminfo).
struct InnerMount {
  char path[kLongestPath];
  int tree;  // a copy of it, and of what is mounted inside it, as open_tree(2) makes one
};

/// The /proc that is there.
struct OldProc {
  int id = -1;                         // of the mount that is on top there
  char options[kLongestOptions] = {};  // hidepid=, gid=, subset=
  InnerMount inner[kMostMounts];
  int count = 0;
  bool all_kept = true;
};

bool parse_mount(const char* line, Mount& mount) {
  char point[kLongestPath];
  static_assert(kLongestPath == 256);  // as the format says
  if (sscanf(line, "%d %d %*s %*s %255s", &mount.id, &mount.parent, point) != 3) {
    return false;
  }
  memcpy(mount.point, point, sizeof point);
  return true;
}

/// Calls `what(line, mount)` for each line; false where the list cannot be read.
template <typename What>
bool each_mount(const What& what) {
  FILE* const list = fopen("/proc/self/mountinfo", "re");
  if (list == nullptr) {
    return false;
  }
  char* line = nullptr;
  size_t size = 0;
  bool all = true;
  while (getline(&line, &size, list) > 0) {
    Mount mount;
    all = parse_mount(line, mount) && all;
    if (all) {
      what(line, mount);
    }
  }
  free(line);
  fclose(list);
  return all;
}

/// Who may see whom in the old one holds in the new one.
void keep_options(const char* line, OldProc& old) {
  const char* options = strrchr(line, ' ');
  for (const char* name : {"hidepid=", "gid=", "subset="}) {
    const char* const found = options == nullptr ? nullptr : strstr(options, name);
    if (found != nullptr) {
      const size_t used = strlen(old.options);
      snprintf(old.options + used, sizeof old.options - used, "%s%.*s", used == 0 ? "" : ",",
               static_cast<int>(strcspn(found, ",\n")), found);
    }
  }
}

/// What is mounted right on it, with what is mounted on that. Of several at one place the one on
/// top: it is what the place shows.
void keep_inner(const Mount& mount, OldProc& old) {
  const long tree =
      old.count == kMostMounts || strchr(mount.point, '\\') != nullptr
          ? -1
          : syscall(SYS_open_tree, AT_FDCWD, mount.point,
                    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_NO_AUTOMOUNT);
  if (tree < 0) {
    old.all_kept = false;
    return;
  }
  InnerMount& kept = old.inner[old.count++];
  memcpy(kept.path, mount.point, sizeof kept.path);
  kept.tree = static_cast<int>(tree);
}

/// False where not all of it is known, or could be kept.
bool look_at(OldProc& old) {
  const auto note_proc = [&old](const char* line, const Mount& mount) {
    if (strcmp(mount.point, kProc) == 0) {  // a later one lies on an earlier one
      old.id = mount.id;
      old.options[0] = '\0';
      keep_options(line, old);
    }
  };
  const auto note_inner = [&old](const char* line, const Mount& mount) {
    if (mount.parent == old.id && strcmp(mount.point, kProc) != 0) {
      keep_inner(mount, old);
    }
    if (strncmp(mount.point, kUnderProc, strlen(kUnderProc)) == 0 &&
        strstr(line, " unbindable ") != nullptr) {
      old.all_kept = false;  // a copy of what it is mounted on leaves it out
    }
  };
  return each_mount(note_proc) && old.id >= 0 && each_mount(note_inner) && old.all_kept;
}

bool put_back(const OldProc& old) {
  for (int i = 0; i < old.count; ++i) {
    const InnerMount& inner = old.inner[i];
    if (syscall(SYS_move_mount, inner.tree, "", AT_FDCWD, inner.path, MOVE_MOUNT_F_EMPTY_PATH) !=
        0) {
      return false;
    }
  }
  return true;
}

bool is_read_only() {
  struct statvfs now = {};
  return statvfs(kProc, &now) == 0 && (now.f_flag & ST_RDONLY) != 0;
}

}  // namespace

bool mount_own_proc(unsigned long flags, const char* options) {
  return mount("proc", kProc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | flags, options) == 0;
}

namespace {

std::uint32_t enter_own_proc() {
  // From here on nothing that is mounted or unmounted inside /proc is seen outside: not by the
  // host, whose mount may be shared, as may each that is mounted inside it. It fails where /proc is
  // no mount.
  if (mount(nullptr, kProc, nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return 0;
  }
  static OldProc old;  // large; one process calls this once
  if (!look_at(old) || !mount_own_proc(is_read_only() ? MS_RDONLY : 0, old.options)) {
    return 0;
  }
  if (put_back(old)) {
    return mechanism::kOwnProc;
  }
  // Rather the other one than one that shows what was hidden.
  if (umount2(kProc, MNT_DETACH) != 0) {
    die("umount /proc");
  }
  return 0;
}

/// Wherever they are mounted.
std::uint32_t make_cgroups_read_only() {
  bool all = true;
  const auto make_one = [&all](const char* line, const Mount& mount) {
    if (strstr(line, " - cgroup2 ") != nullptr) {
      all = change_mounts(mount.point, 0, MOUNT_ATTR_RDONLY, 0) && all;
    }
  };
  return each_mount(make_one) && all ? mechanism::kReadOnlyCgroups : 0;
}

}  // namespace

std::uint32_t enter_command_mounts(const Setup& setup) {
  if (setup.containment == Containment::Sweep || setup.spec.allow_namespaces == 0 ||
      (setup.spec.without & mechanism::kOwnProc) != 0 || unshare(CLONE_NEWNS) != 0) {
    return 0;
  }
  const std::uint32_t cgroups = setup.spec.in_cgroup != 0 ? make_cgroups_read_only() : 0;
  return cgroups | enter_own_proc();
}

}  // namespace keisei::os::jail
