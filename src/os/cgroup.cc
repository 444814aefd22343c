#include "os/cgroup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "os/jail.h"
#include "os/procfs.h"

namespace keisei::os {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kEmptyPatience = 1s;
constexpr int kMostLeaves = 10'000;
constexpr int kDeepest = 16;
constexpr std::string_view kFullWeight = "100";  // what the kernel gives a new one
constexpr std::string_view kMostWeight = "10000";

std::string content(const fs::path& path) { return read_proc(path.string()).value_or(""); }

/// 0, or why not as an errno. Control files are there already: none is ever created.
int put(const fs::path& path, std::string_view text) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return errno;
  }
  return 0;
}

Result<void> put_or_fail(const fs::path& path, std::string_view text) {
  if (const int error = put(path, text); error != 0) {
    return fail("writing {} to {}: {}", text, path.string(), strerror(error));
  }
  return {};
}

UniqueFd open_directory(const fs::path& path) {
  return UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/// Held while leaves are made or swept, so that nobody sweeps a leaf that is not locked yet. Ends
/// with the descriptor.
Result<UniqueFd> lock_tree(const fs::path& path) {
  UniqueFd directory = open_directory(path);
  if (!directory || flock(directory.get(), LOCK_EX) != 0) {
    return fail_errno(fmt::format("locking {}", path.string()));
  }
  return directory;
}

bool is_populated(const fs::path& cgroup) {
  return keyed_value(content(cgroup / "cgroup.events"), "populated").value_or(0) != 0;
}

std::vector<fs::path> subdirectories(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_directory(ignored) && !entry->is_symlink(ignored)) {
      found.push_back(entry->path());
    }
  }
  return found;
}

/// With what was made below it. rmdir(2) takes an empty cgroup only.
bool remove_cgroup(const fs::path& cgroup, int depth = 0) {
  if (rmdir(cgroup.c_str()) == 0 || errno == ENOENT) {
    return true;
  }
  if (depth == kDeepest) {
    return false;
  }
  for (const fs::path& child : subdirectories(cgroup)) {
    remove_cgroup(child, depth + 1);
  }
  return rmdir(cgroup.c_str()) == 0;
}

bool is_left_behind(const fs::path& cgroup) {
  struct stat status = {};
  if (!cgroup.filename().string().starts_with(kRunCgroupPrefix) ||
      lstat(cgroup.c_str(), &status) != 0 || status.st_uid != geteuid() || is_populated(cgroup)) {
    return false;
  }
  const UniqueFd directory = open_directory(cgroup);
  return directory && flock(directory.get(), LOCK_EX | LOCK_NB) == 0;
}

Result<void> move_self_into_leaf(const fs::path& tree) {
  const fs::path leaf = tree / kSupervisorCgroup;
  if (mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST) {
    return fail_errno(fmt::format("making {}", leaf.string()));
  }
  return put_or_fail(leaf / "cgroup.procs", "0");
}

void move_self_back(const fs::path& tree) {
  if (put(tree / "cgroup.procs", "0") == 0) {
    rmdir((tree / kSupervisorCgroup).c_str());  // another supervisor may be in it
  }
}

}  // namespace

std::optional<std::string> cpu_quota(double percent) {
  constexpr double kShortestQuota = 1000;  // us, the kernel's bound
  const int period = percent >= 1 ? 100'000 : 1'000'000;
  const double quota = percent / 100 * period;
  if (!(quota >= kShortestQuota)) {
    return std::nullopt;
  }
  return fmt::format("{:.0f} {}", quota, period);
}

std::optional<std::int64_t> keyed_value(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() <= key.size() || !line.starts_with(key) || line[key.size()] != ' ') {
      continue;
    }
    std::int64_t value = 0;
    const auto [stop, error] =
        std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), value);
    if (error == std::errc{} && stop == line.data() + line.size()) {
      return value;
    }
  }
  return std::nullopt;
}

CgroupLeaf::~CgroupLeaf() {
  if (!directory_) {
    return;  // moved from
  }
  kill();
  const MonotonicTime deadline = MonotonicClock::now() + kEmptyPatience;
  while (!remove_cgroup(path_) && MonotonicClock::now() < deadline) {
    std::this_thread::sleep_for(1ms);  // what is left is left to the next sweep
  }
}

Result<void> CgroupLeaf::limit(const CgroupLimits& limits, bool has_cpu) {
  if (limits.memory) {
    KEISEI_TRY_VOID(put_or_fail(path_ / "memory.max", fmt::format("{}", limits.memory->count)));
    KEISEI_TRY_VOID(put_or_fail(path_ / "memory.oom.group", "1"));
    const fs::path swap = path_ / "memory.swap.max";  // absent where the kernel counts no swap
    if (access(swap.c_str(), F_OK) == 0) {
      KEISEI_TRY_VOID(put_or_fail(swap, "0"));
    }
  }
  if (limits.tasks) {
    KEISEI_TRY_VOID(put_or_fail(path_ / "pids.max", fmt::format("{}", *limits.tasks)));
  }
  // No controller is handed on to it: what is in there counts in the leaf.
  if (const fs::path tree = path_ / kTreeCgroup; mkdir(tree.c_str(), 0755) == 0) {
    freezer_.reset(open((tree / "cgroup.freeze").c_str(), O_WRONLY | O_CLOEXEC));
  }
  KEISEI_TRY_VOID(put_or_fail(path_ / "cgroup.max.descendants", "0"));  // but for that one
  can_weigh_ = has_cpu;
  if (has_cpu) {
    limit_cpu(limits);
  }
  return {};
}

void CgroupLeaf::limit_cpu(const CgroupLimits& limits) {
  const auto quota = limits.cpu_percent ? cpu_quota(*limits.cpu_percent) : std::nullopt;
  holds_cpu_ = quota && put(path_ / "cpu.max", *quota) == 0;
  if (limits.weight == CgroupWeight::Idle) {
    (void)weigh(CgroupWeight::Idle);  // is_idle() tells
  }
}

bool CgroupLeaf::weigh(CgroupWeight weight) {
  if (!can_weigh_) {
    return false;
  }
  if (weight == CgroupWeight::Idle) {
    is_idle_ = put(path_ / "cpu.idle", "1") == 0 ||  // Linux 5.15
               put(path_ / "cpu.weight", "1") == 0;
    can_weigh_ = is_idle_;
    return is_idle_;
  }
  (void)put(path_ / "cpu.idle", "0");  // first: an idle one takes no weight
  is_idle_ = put(path_ / "cpu.weight", kFullWeight) != 0;
  return !is_idle_;
}

bool CgroupLeaf::freeze() { return freezer_ && pwrite(freezer_.get(), "1", 1, 0) == 1; }

bool CgroupLeaf::thaw() { return freezer_ && pwrite(freezer_.get(), "0", 1, 0) == 1; }

void CgroupLeaf::hurry() {
  // A command that may write here may have frozen its init, or moved it to where it is frozen.
  (void)put(path_ / "cgroup.freeze", "0");
  (void)thaw();
  if (holds_cpu_) {
    (void)put(path_ / "cpu.max", "max");  // a throttled process cannot even die
  }
  if (is_idle_) {
    (void)put(path_ / "cpu.idle", "0");
    (void)put(path_ / "cpu.weight", kMostWeight);
  }
}

void CgroupLeaf::kill() {
  hurry();
  // Since Linux 5.14. Before, and where it fails, the namespace or the sweep kills as without it.
  (void)put(path_ / "cgroup.kill", "1");
}

bool CgroupLeaf::can_kill() const { return access((path_ / "cgroup.kill").c_str(), W_OK) == 0; }

CgroupAccount CgroupLeaf::account() const {
  CgroupAccount account;
  const std::string memory = content(path_ / "memory.events");
  account.oom_kills = keyed_value(memory, "oom_kill").value_or(0);
  account.refused_tasks = keyed_value(content(path_ / "pids.events"), "max").value_or(0);
  // memory.peak since Linux 5.19: one number, a line
  if (const auto peak = keyed_value("peak " + content(path_ / "memory.peak"), "peak")) {
    account.memory_peak = Bytes{*peak};
  }
  const std::string cpu = content(path_ / "cpu.stat");
  const auto seconds_of = [&cpu](std::string_view key) -> std::optional<double> {
    const auto microseconds = keyed_value(cpu, key);
    return microseconds ? std::optional(static_cast<double>(*microseconds) * 1e-6) : std::nullopt;
  };
  account.cpu_seconds = seconds_of("usage_usec");
  account.throttled_seconds = seconds_of("throttled_usec");
  return account;
}

Result<CgroupTree> CgroupTree::adopt(const CgroupPlace& place) {
  if (place.occupied) {
    KEISEI_TRY_VOID(move_self_into_leaf(place.directory));
  }
  const fs::path control = place.directory / "cgroup.subtree_control";
  const int refused = put(control, "+memory +pids");
  if (refused != 0 && place.occupied) {
    move_self_back(place.directory);
  }
  if (refused == EBUSY) {
    return fail("other processes are in {}; start keisei in a cgroup of its own",
                place.directory.string());
  }
  if (refused != 0) {
    return fail("{}: {}", control.string(), strerror(refused));
  }
  const bool cpu = place.cpu && put(control, "+cpu") == 0;
  CgroupTree tree(place.directory, cpu, place.nsdelegate);
  tree.sweep();
  return tree;
}

Result<CgroupLeaf> CgroupTree::make_leaf(const CgroupLimits& limits) const {
  KEISEI_TRY(lock, lock_tree(path_));
  for (int i = 0; i < kMostLeaves; ++i) {
    fs::path path = path_ / fmt::format("{}{}-{}", kRunCgroupPrefix, getpid(), i);
    if (mkdir(path.c_str(), 0755) != 0) {
      if (errno == EEXIST) {
        continue;
      }
      return fail_errno(fmt::format("making {}", path.string()));
    }
    UniqueFd directory = open_directory(path);
    if (!directory || flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
      const auto error = fail_errno(fmt::format("locking {}", path.string()));
      rmdir(path.c_str());
      return error;
    }
    CgroupLeaf leaf(std::move(path), std::move(directory));
    KEISEI_TRY_VOID(leaf.limit(limits, has_cpu_));
    return leaf;
  }
  return fail("{} is full of runs", path_.string());
}

int CgroupTree::sweep() const {
  int removed = 0;
  const auto lock = lock_tree(path_);
  if (!lock) {
    return removed;
  }
  for (const fs::path& cgroup : subdirectories(path_)) {
    if (is_left_behind(cgroup) && remove_cgroup(cgroup)) {
      ++removed;
    }
  }
  return removed;
}

}  // namespace keisei::os
