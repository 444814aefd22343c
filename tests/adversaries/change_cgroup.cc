// change_cgroup limits: tries to lift the limits of its run's cgroup, to leave it, to freeze itself
// with its init, or to move that to where it would be frozen, and to freeze the guard (it only
// opens that file); exits with the number of these that it could do. change_cgroup leave SECONDS:
// leaves the part of it that is frozen, then burns a core for so long, and exits with 0, or 78
// where it could not leave. Both exit with 77 where they do not see their cgroup.
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "burn.h"

namespace {

bool put(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY);
  const bool written = file >= 0 && write(file, text.data(), text.size()) > 0;
  close(file);
  return written;
}

bool holds_me(const std::string& cgroup) {
  std::ifstream list(cgroup + "/cgroup.procs");
  for (int pid = 0; list >> pid;) {
    if (pid == getpid()) {
      return true;
    }
  }
  return false;
}

/// The directory of this process's cgroup at or below `top`; empty where it is not seen.
std::string find_own(const std::string& top, int depth) {
  if (holds_me(top)) {
    return top;
  }
  std::string found;
  DIR* const directory = depth > 0 ? opendir(top.c_str()) : nullptr;
  while (const dirent* entry =
             directory != nullptr && found.empty() ? readdir(directory) : nullptr) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
      found = find_own(top + "/" + entry->d_name, depth - 1);
    }
  }
  if (directory != nullptr) {
    closedir(directory);
  }
  return found;
}

/// Where the cgroups of version 2 are mounted.
std::string mount_point() {
  std::ifstream mounts("/proc/self/mounts");
  std::string device;
  std::string point;
  for (std::string type; mounts >> device >> point >> type; mounts.ignore(4096, '\n')) {
    if (type == "cgroup2") {
      return point;
    }
  }
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string own = find_own(mount_point(), 16);
  const std::string leaf = own.substr(0, own.rfind('/'));
  if (own.empty() || argc < 2) {
    _exit(77);
  }
  if (strcmp(argv[1], "limits") == 0) {
    const std::string guard = leaf + "/../keisei-supervisor";
    const int freezes_guard = open((guard + "/cgroup.freeze").c_str(), O_WRONLY) >= 0 ? 1 : 0;
    _exit(put(leaf + "/memory.max", "max") + put(leaf + "/pids.max", "max") +
          put(guard + "/cgroup.procs", "0") + freezes_guard + put(own + "/cgroup.procs", "1") +
          put(own + "/cgroup.freeze", "1") + put(leaf + "/cgroup.freeze", "1"));
  }
  if (!put(leaf + "/cgroup.procs", "0")) {
    _exit(78);
  }
  burn(argc > 2 ? atof(argv[2]) : 1);
  _exit(0);
}
