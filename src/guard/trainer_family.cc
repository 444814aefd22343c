#include "guard/trainer_family.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "os/procfs.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr auto kBetweenLooks = 1s;
constexpr std::size_t kMostMembers = 256;  // a descriptor each

double ticks_per_second() {
  static const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return ticks;
}

UniqueFd open_stat(pid_t pid) {
  return UniqueFd(::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC));
}

std::optional<os::ProcessStat> read_stat(int fd) {
  std::array<char, 1024> buffer{};
  const ssize_t got = fd >= 0 ? ::pread(fd, buffer.data(), buffer.size(), 0) : -1;
  return got > 0
             ? os::parse_stat({buffer.data(), static_cast<std::size_t>(got)}, ticks_per_second())
             : std::nullopt;
}

/// Numbers between blanks.
std::vector<pid_t> parse_pids(std::string_view text) {
  std::vector<pid_t> pids;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error == std::errc{}) {
      pids.push_back(pid);
    }
    at = error == std::errc{} ? next : at + 1;
  }
  return pids;
}

/// Another guard that the trainer has started: what runs below it is no training.
bool is_guard(pid_t pid) {
  return os::read_proc(fmt::format("/proc/{}/comm", pid)).value_or("") == "keisei\n";
}

/// Of all its threads. A process that goes meanwhile has none.
std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code error;
  std::filesystem::directory_iterator threads(fmt::format("/proc/{}/task", pid), error);
  for (; !error && threads != std::filesystem::directory_iterator(); threads.increment(error)) {
    const auto text = os::read_proc((threads->path() / "children").string());
    std::ranges::copy(parse_pids(text.value_or("")), std::back_inserter(children));
  }
  return children;
}

}  // namespace

TrainerFamily::TrainerFamily(pid_t trainer, pid_t guard) : trainer_(trainer), guard_(guard) {
  members_.push_back({trainer_, open_stat(trainer_)});
}

void TrainerFamily::look_around() {
  std::vector<Member> known = std::exchange(members_, {});
  members_.push_back(std::move(known.front()));  // another one of its number is not the trainer
  const auto take = [&](pid_t pid) {
    const auto found = std::ranges::find(known, pid, &Member::pid);
    if (found != known.end() && read_stat(found->stat.get())) {
      members_.push_back(std::move(*found));
    } else if (pid != guard_ && !is_guard(pid)) {
      members_.push_back({pid, open_stat(pid)});
    }
  };
  for (std::size_t i = 0; i < members_.size(); ++i) {
    for (const pid_t child : children_of(members_[i].pid)) {
      if (members_.size() < kMostMembers) {
        take(child);
      }
    }
  }
}

std::optional<double> TrainerFamily::cpu_seconds(MonotonicTime now) {
  if (now >= next_look_) {
    look_around();
    next_look_ = now + kBetweenLooks;
  }
  double sum = 0;
  for (const Member& member : members_) {
    const std::optional<os::ProcessStat> stat = read_stat(member.stat.get());
    if (stat) {
      sum += stat->cpu_seconds + stat->reaped_cpu_seconds;
    } else if (member.pid == trainer_) {
      return std::nullopt;
    }
  }
  return sum;
}

std::vector<pid_t> TrainerFamily::members() const {
  std::vector<pid_t> pids;
  for (const Member& member : members_) {
    pids.push_back(member.pid);
  }
  return pids;
}

}  // namespace keisei::guard
