#include "os/session_weight.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "base/unique_fd.h"
#include "os/cgroup_place.h"
#include "os/procfs.h"

namespace keisei::os {
namespace {

/// «/autogroup-123 nice 19»
bool has_weight(int fd, bool low) {
  std::array<char, 64> text{};
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  const std::string_view line(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  return line.ends_with(low ? " nice 19\n" : " nice 0\n");
}

}  // namespace

bool sessions_have_weights() {
  static const bool weighed = is_weighed_by_cgroup(this_cgroup_host());
  const auto text = read_proc("/proc/sys/kernel/sched_autogroup_enabled");
  return !weighed && text && text->starts_with('1');
}

bool set_weight(std::span<const pid_t> members, bool low) {
  bool all = true;
  const pid_t own = ::getsid(0);
  for (const pid_t pid : members) {
    if (::getsid(pid) == own) {
      continue;
    }
    const UniqueFd file(::open(fmt::format("/proc/{}/autogroup", pid).c_str(), O_RDWR | O_CLOEXEC));
    if (!file) {
      all = all && errno == ENOENT;  // it has ended
      continue;
    }
    if (!has_weight(file.get(), low)) {
      const std::string_view text = low ? "19" : "0";
      all = ::write(file.get(), text.data(), text.size()) > 0 && all;
    }
  }
  return all;
}

}  // namespace keisei::os
