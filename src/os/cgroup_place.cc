#include "os/cgroup_place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "os/procfs.h"

namespace keisei::os {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHowTo =
    "start keisei with «systemd-run --user --scope -p Delegate=yes», or name a subtree in "
    "KEISEI_CGROUP";

std::vector<std::string_view> words(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n";
  std::vector<std::string_view> found;
  std::size_t at = text.find_first_not_of(kBlank);
  while (at != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(kBlank, at), text.size());
    found.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(kBlank, end);
  }
  return found;
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

std::string content(const fs::path& path) { return read_proc(path.string()).value_or(""); }

bool may_write(const fs::path& path) {
  return faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

bool is_unit_name(std::string_view name) {
  return name.ends_with(".slice") || name.ends_with(".scope") || name.ends_with(".service");
}

/// systemd leaves it on the cgroup of every unit with Delegate=.
bool has_delegation_mark(const fs::path& directory) {
  for (const char* name : {"user.delegate", "trusted.delegate"}) {
    std::array<char, 8> value = {};
    if (getxattr(directory.c_str(), name, value.data(), value.size()) == 1 && value[0] == '1') {
      return true;
    }
  }
  return false;
}

/// `path` below `top`, both of one tree; nothing where it is elsewhere.
std::optional<fs::path> below(const fs::path& path, const fs::path& top) {
  const fs::path relative = path.lexically_relative(top);
  if (relative.empty() || *relative.begin() == "..") {
    return std::nullopt;
  }
  return relative;
}

bool within_run(const fs::path& relative) {
  return std::ranges::any_of(
      relative, [](const fs::path& part) { return part.string().starts_with(kRunCgroupPrefix); });
}

struct Here {
  fs::path top;  // where the hierarchy is mounted
  fs::path own;  // the directory of this process's cgroup
  bool nsdelegate;
};

Result<Here> locate(const CgroupHost& host) {
  const auto mount = parse_cgroup_mount(content(host.root / "proc/self/mountinfo"));
  if (!mount) {
    return fail("no cgroup v2 is mounted here, and version 1 is not used");
  }
  const auto own = parse_own_cgroup(content(host.root / "proc/self/cgroup"));
  const auto inside = own ? below(fs::path(*own), fs::path(mount->root)) : std::nullopt;
  if (!inside) {
    return fail("the cgroup of this process lies outside of what is mounted at {}", mount->point);
  }
  const fs::path top = host.root / fs::path(mount->point).relative_path();
  return Here{
      .top = top, .own = (top / *inside).lexically_normal(), .nsdelegate = mount->nsdelegate};
}

/// The innermost unit of systemd's at or above `directory`.
std::optional<fs::path> innermost_unit(const fs::path& directory, const fs::path& top) {
  fs::path unit = directory;
  while (below(unit, top) && unit != top) {
    if (is_unit_name(unit.filename().string())) {
      return unit;
    }
    unit = unit.parent_path();
  }
  return std::nullopt;
}

CgroupCandidate look_at(const fs::path& directory, const Here& here, const CgroupHost& host) {
  const std::string controllers = content(directory / "cgroup.controllers");
  const std::optional<fs::path> unit = innermost_unit(directory, here.top);
  struct stat status = {};
  const bool exists = stat(directory.c_str(), &status) == 0;
  return {.directory = directory.string(),
          .memory = has_controller(controllers, "memory"),
          .pids = has_controller(controllers, "pids"),
          .hierarchy_root = access((directory / "cgroup.type").c_str(), F_OK) != 0,
          .named = !host.named.empty(),
          .in_unit = unit.has_value(),
          .unit_delegated = unit && has_delegation_mark(*unit),
          .is_unit = unit == directory,
          .owned = exists && status.st_uid == host.account,
          .writable = may_write(directory) && may_write(directory / "cgroup.procs") &&
                      may_write(directory / "cgroup.subtree_control"),
          .privileged = host.account == 0};
}

/// Moving a process takes the right to write where the ways to both cgroups part.
Result<void> may_move(const fs::path& from, const fs::path& to) {
  fs::path shared = to;
  while (!below(from, shared)) {
    shared = shared.parent_path();
  }
  if (!may_write(shared / "cgroup.procs")) {
    return fail("this account may not move processes from {} into {}; start keisei in it",
                from.string(), to.string());
  }
  return {};
}

Result<fs::path> named_directory(const CgroupHost& host, const Here& here) {
  const fs::path named = fs::path(host.named).lexically_normal();
  if (!named.is_absolute()) {
    return fail("KEISEI_CGROUP is {}, but must be an absolute path, or off", host.named);
  }
  std::error_code error;
  const fs::path real = fs::canonical(host.root / named.relative_path(), error);
  const fs::path top = fs::canonical(here.top, error);
  if (error || !below(real, top)) {
    return fail("KEISEI_CGROUP names {}, which is no directory of the cgroup v2 hierarchy",
                host.named);
  }
  return here.top / *below(real, top);
}

}  // namespace

CgroupHost this_cgroup_host() {
  const char* named = getenv("KEISEI_CGROUP");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return {.root = "/", .named = named == nullptr ? "" : named, .account = geteuid()};
}

std::optional<CgroupMount> parse_cgroup_mount(std::string_view mountinfo) {
  constexpr std::size_t kRoot = 3;
  constexpr std::size_t kPoint = 4;
  for (const std::string_view line : lines(mountinfo)) {
    const auto fields = words(line);
    const auto dash = std::ranges::find(fields, "-");
    if (dash - fields.begin() > std::ptrdiff_t{kPoint} && fields.end() - dash > 1 &&
        dash[1] == "cgroup2" &&
        line.find('\\') == std::string_view::npos) {   // an escaped name is none of ours
      const std::string_view options = fields.back();  // «rw,nsdelegate»
      return CgroupMount{.point = std::string(fields[kPoint]),
                         .root = std::string(fields[kRoot]),
                         .nsdelegate = options.find("nsdelegate") != std::string_view::npos};
    }
  }
  return std::nullopt;
}

std::optional<std::string> parse_own_cgroup(std::string_view text) {
  constexpr std::string_view kUnified = "0::";
  for (const std::string_view line : lines(text)) {
    if (line.starts_with(kUnified) && line.substr(kUnified.size()).starts_with('/')) {
      return std::string(line.substr(kUnified.size()));
    }
  }
  return std::nullopt;
}

bool is_weighed_by_version_1(std::string_view text) {
  for (const std::string_view line : lines(text)) {  // «1:cpu,cpuacct:/path»
    const std::size_t first = std::min(line.find(':'), line.size());
    const std::size_t second = std::min(line.find(':', first + 1), line.size());
    std::string controllers(line.substr(first, second - first));
    std::ranges::replace_if(
        controllers, [](char c) { return c == ':' || c == ','; }, ' ');
    if (has_controller(controllers, "cpu") && line.substr(second) != ":/") {
      return true;
    }
  }
  return false;
}

bool has_controller(std::string_view text, std::string_view name) {
  return std::ranges::count(words(text), name) > 0;
}

std::optional<std::string> why_not_ours(const CgroupCandidate& candidate) {
  const std::string& where = candidate.directory;
  if (!candidate.memory || !candidate.pids) {
    return fmt::format(
        "cgroup v2 has no controllers memory and pids at {}, and version 1 is not used", where);
  }
  if (candidate.hierarchy_root) {
    return fmt::format("{} is the root of the hierarchy, which is nobody's; {}", where, kHowTo);
  }
  if (!candidate.writable) {
    return fmt::format("this account may not write to {}; {}", where, kHowTo);
  }
  if (candidate.named) {
    return std::nullopt;
  }
  const bool of_account = candidate.owned && !candidate.privileged;
  if (candidate.in_unit && !candidate.unit_delegated) {
    return fmt::format("{} is systemd's and was not delegated; {}", where, kHowTo);
  }
  if (of_account || (candidate.unit_delegated && candidate.is_unit)) {
    return std::nullopt;
  }
  return fmt::format("{} was not given to this account; {}", where, kHowTo);
}

Result<CgroupPlace> find_delegated_cgroup(const CgroupHost& host) {
  if (host.named == "off") {
    return fail("KEISEI_CGROUP is off");
  }
  KEISEI_TRY(here, locate(host));
  if (const auto inside = below(here.own, here.top); inside && within_run(*inside)) {
    return fail("this process is in a guarded run itself, whose cgroup holds");
  }
  fs::path directory = here.own.filename() == kSupervisorCgroup ? here.own.parent_path() : here.own;
  if (!host.named.empty()) {
    KEISEI_TRY(named, named_directory(host, here));
    directory = std::move(named);
  }
  if (const auto reason = why_not_ours(look_at(directory, here, host))) {
    return fail("{}", *reason);
  }
  KEISEI_TRY_VOID(may_move(here.own, directory));
  return CgroupPlace{.directory = directory,
                     .cpu = has_controller(content(directory / "cgroup.controllers"), "cpu"),
                     .occupied = here.own == directory,
                     .nsdelegate = here.nsdelegate};
}

bool is_weighed_by_cgroup(const CgroupHost& host) {
  if (is_weighed_by_version_1(content(host.root / "proc/self/cgroup"))) {
    return true;
  }
  const Result<Here> here = locate(host);
  if (!here) {
    return false;
  }
  fs::path cgroup = here->own;
  while (below(cgroup, here->top)) {
    if (access((cgroup / "cpu.weight").c_str(), F_OK) == 0) {  // the root has none
      return true;
    }
    cgroup = cgroup.parent_path();
  }
  return false;
}

}  // namespace keisei::os
