// Where the kernel gives no PID namespace: find every descendant by parent links. The init is a
// subreaper, so an orphan's chain still leads here.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/jail_internal.h"

namespace keisei::os::jail {
namespace {

struct Process {
  pid_t pid;
  pid_t parent;
  bool below;  // a descendant of this process
};

/// The parent of `pid`, 0 where it is gone or a zombie (which nothing can harm any more; one with
/// threads has only lost its first one).
pid_t living_parent(pid_t pid) {
  char path[32];
  char text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
  if (fd >= 0) {
    close(fd);
  }
  if (got <= 0) {
    return 0;
  }
  text[got] = '\0';
  const char* after_name = strrchr(text, ')');  // the name may hold anything
  char state = 'X';
  int parent = 0;
  int threads = 0;  // field 20
  if (after_name == nullptr ||
      sscanf(after_name + 1,
             " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d", &state,
             &parent, &threads) != 3) {
    return 0;
  }
  return (state == 'Z' && threads <= 1) || state == 'X' ? 0 : parent;
}

/// All living processes, allocated; the caller frees.
Process* list_processes(size_t& count) {
  size_t capacity = 1024;
  auto* list = static_cast<Process*>(malloc(capacity * sizeof(Process)));
  count = 0;
  DIR* directory = opendir("/proc");
  while (list != nullptr && directory != nullptr) {
    const dirent* entry = readdir(directory);
    if (entry == nullptr) {
      break;
    }
    const auto pid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
    const pid_t parent = pid > 0 ? living_parent(pid) : 0;
    if (parent <= 0) {
      continue;
    }
    if (count == capacity) {
      capacity *= 2;
      auto* grown = static_cast<Process*>(realloc(list, capacity * sizeof(Process)));
      if (grown == nullptr) {
        break;  // the next pass sees the rest
      }
      list = grown;
    }
    list[count++] = {pid, parent, false};
  }
  if (directory != nullptr) {
    closedir(directory);
  }
  return list;
}

int by_pid(const void* left, const void* right) {
  const pid_t a = static_cast<const Process*>(left)->pid;
  const pid_t b = static_cast<const Process*>(right)->pid;
  return (a > b) - (a < b);
}

/// Whoever descends from `self`. Sorted, most parents come before their children, and one round
/// finds nearly all.
void mark_descendants(Process* list, size_t count, pid_t self) {
  qsort(list, count, sizeof(Process), by_pid);
  bool changed = true;
  while (changed) {
    changed = false;
    for (size_t i = 0; i < count; ++i) {
      const Process wanted = {list[i].parent, 0, false};
      const auto* parent =
          static_cast<const Process*>(bsearch(&wanted, list, count, sizeof(Process), by_pid));
      if (!list[i].below && (wanted.pid == self || (parent != nullptr && parent->below))) {
        list[i].below = true;
        changed = true;
      }
    }
  }
}

}  // namespace

int signal_descendants(int signal) {
  size_t count = 0;
  Process* list = list_processes(count);
  if (list == nullptr) {
    return 1;  // not known to be empty
  }
  mark_descendants(list, count, getpid());
  int found = 0;
  for (size_t i = 0; i < count; ++i) {
    if (list[i].below) {
      kill(list[i].pid, signal);
      ++found;
    }
  }
  free(list);
  return found;
}

}  // namespace keisei::os::jail
