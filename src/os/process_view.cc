#include "os/process_view.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

namespace keisei::os {
namespace {

constexpr std::size_t kMostKept = 64;  // processes; of those beyond that, each look opens a file
constexpr std::size_t kMostWhole = 8;  // of these, with so many more files each:
constexpr int kMoreOfWhole = 3;
constexpr std::size_t kRecord = 1024;  // bytes: «stat» and «io» have less

std::optional<int> to_int(const char* name) {
  const std::string_view text(name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                  : std::nullopt;
}

bool host_can_swap() {
  // «Filename Type Size Used Priority», then a line per device.
  const std::optional<std::string> swaps = read_proc("/proc/swaps");
  return !swaps || std::ranges::count(*swaps, '\n') > 1;
}

timespec own_cpu_time() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time;
}

/// A processor without ticks tells once a second what the thread that has it alone has used.
bool has_processors_without_ticks() {
  const std::optional<std::string> listed = read_proc("/sys/devices/system/cpu/nohz_full");
  return listed && listed->find_first_of("0123456789") != std::string::npos;
}

/// A clock that is not moved by the question itself counts in ticks. (Of another process that is
/// running right now the kernel tells what held at its last tick.)
bool counts_exactly() {
  if (has_processors_without_ticks()) {
    return false;
  }
  const auto moves = [] {
    const timespec before = own_cpu_time();
    const timespec after = own_cpu_time();
    return after.tv_sec != before.tv_sec || after.tv_nsec != before.tv_nsec;
  };
  return moves() && moves() && moves();  // a tick may fall into one
}

/// What a file under /proc says now that is one record, so that one call reads it all.
std::optional<std::string_view> read_record(const UniqueFd& file, std::span<char> buffer) {
  const ssize_t got = pread(file.get(), buffer.data(), buffer.size(), 0);
  return got > 0 ? std::optional(std::string_view(buffer.data(), static_cast<std::size_t>(got)))
                 : std::nullopt;
}

/// The same of `file`, which stays open. A file of a process that was reaped says nothing more, and
/// then `path` is asked.
std::optional<std::string_view> read_kept(UniqueFd& file, const std::string& path,
                                          std::span<char> buffer) {
  if (file) {
    if (const std::optional<std::string_view> text = read_record(file, buffer)) {
      return text;
    }
  }
  ScarceFile opened(path);
  const auto text = opened ? read_record(opened.fd(), buffer) : std::nullopt;
  file = opened.is_spare() ? UniqueFd() : opened.take();
  return text;
}

std::optional<ProcessPages> read_pages(const UniqueFd& statm) {
  std::array<char, 128> buffer;
  const std::optional<std::string_view> text = read_record(statm, buffer);
  return text ? parse_statm(*text) : std::nullopt;
}

std::string directory_of(pid_t pid) { return fmt::format("/proc/{}", pid); }

/// Where the memory and descriptors of a process show whose first thread has ended before the
/// others: at one of those. Nothing where none is left.
std::optional<std::string> thread_directory_of(pid_t pid) {
  const std::string tasks = directory_of(pid) + "/task";
  const ScarceDirectory directory(tasks);
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    const std::optional<int> thread = to_int(entry->d_name);
    if (thread && *thread != pid) {
      return fmt::format("{}/{}", tasks, *thread);
    }
  }
  return std::nullopt;
}

/// Of a process that ends the memory goes first, and then nobody may read its descriptor table.
bool without_memory(const std::string& directory) {
  return read_proc(directory + "/statm").value_or("0 ").starts_with("0 ");
}

/// A memfd or a file in /dev/shm: the link names it, and only then is it worth a stat. `hidden`
/// where the link must not be read, which listing the table need not show.
std::optional<MemoryFile> memory_file(int directory, const char* entry, int& hidden) {
  char target[64];
  const ssize_t length = readlinkat(directory, entry, target, sizeof target);
  hidden += length < 0 && (errno == EACCES || errno == EPERM) ? 1 : 0;
  const std::string_view name(target, length > 0 ? static_cast<std::size_t>(length) : 0);
  if (!name.starts_with("/memfd:") && !name.starts_with("/dev/shm/")) {
    return std::nullopt;
  }
  const std::optional<MappedFile> file = ask_without_waiting(directory, entry);
  return file ? std::optional(MemoryFile{.file = file->file, .allocated = *file->allocated})
              : std::nullopt;
}

struct DescriptorTable {
  int size = 0;
  int hidden = 0;  // links that must not be read
  std::vector<MemoryFile> files;
};

/// With the program that it runs, which may be a memfd too.
DescriptorTable read_table(DIR* directory, const std::string& process) {
  DescriptorTable table;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] == '.') {
      continue;
    }
    ++table.size;
    if (const std::optional<MemoryFile> file =
            memory_file(dirfd(directory), entry->d_name, table.hidden)) {
      table.files.push_back(*file);
    }
  }
  const std::string program = process + "/exe";
  if (const auto file = memory_file(AT_FDCWD, program.c_str(), table.hidden)) {
    table.files.push_back(*file);
  }
  return table;
}

bool hides(const DescriptorTable& table, const std::string& process) {
  return table.hidden > 0 && !without_memory(process);
}

}  // namespace

ProcfsView::ProcfsView(ProcessTable& table)
    : table_(table),
      ticks_per_second_(static_cast<double>(sysconf(_SC_CLK_TCK))),
      page_bytes_(sysconf(_SC_PAGESIZE)),
      can_swap_(host_can_swap()),
      exact_cpu_time_(counts_exactly()),
      failures_seen_(descriptor_failures()) {}

ProcfsView::~ProcfsView() { table_.forget(root_); }

std::vector<pid_t> ProcfsView::descendants(pid_t root) {
  if (root != root_) {
    table_.forget(root_);
    kept_.clear();
    root_ = root;
    keep(root);
    table_.watch(root);
  }
  std::vector<pid_t> living = table_.descendants(root, MonotonicClock::now());
  mapped_.keep_only(living);
  std::erase_if(kept_, [&](const auto& entry) {  // or the dead would take the places of others
    return entry.first != root && std::ranges::find(living, entry.first) == living.end();
  });
  told_ = living;
  return living;
}

ProcfsView::Kept& ProcfsView::kept(pid_t pid, Kept& spare) {
  const auto known = kept_.find(pid);
  return known != kept_.end() ? known->second : spare;
}

void ProcfsView::keep(pid_t pid) {
  const auto known = kept_.find(pid);
  Kept fresh;
  Kept& kept = known == kept_.end() ? fresh : known->second;
  if (known == kept_.end() && (kept_.size() >= kMostKept || !kept.share.grow(1))) {
    return;
  }
  if (!kept.whole && kept_.size() < kMostWhole) {
    kept.whole = kept.share.grow(kMoreOfWhole);
  }
  if (known == kept_.end()) {
    kept_.emplace(pid, std::move(fresh));
  }
}

std::optional<ProcessStat> ProcfsView::stat(pid_t pid) {
  Kept spare;
  Kept& known = kept(pid, spare);
  std::array<char, kRecord> buffer;
  const std::optional<std::string_view> text =
      read_kept(known.whole ? known.stat : spare.stat, directory_of(pid) + "/stat", buffer);
  return text ? parse_stat(*text, ticks_per_second_) : std::nullopt;
}

/// A system call instead of a file, and to the nanosecond: it is asked with every sample.
std::chrono::nanoseconds ProcfsView::cpu_time(pid_t pid) {
  Kept spare;
  std::optional<clockid_t>& clock = kept(pid, spare).cpu_clock;
  clockid_t found{};
  if (!clock && clock_getcpuclockid(pid, &found) == 0) {
    clock = found;
  }
  timespec time = {};
  if (!clock || clock_gettime(*clock, &time) != 0) {
    return {};
  }
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Another run's look may have found a newborn of this tree.
bool ProcfsView::shows_all_activity() {
  return exact_cpu_time_ && table_.complete(MonotonicClock::now()) &&
         std::ranges::equal(table_.known(root_), told_);
}

bool ProcfsView::living(pid_t pid) {
  const std::optional<ProcessStat> process = stat(pid);
  return process && !ended(*process);
}

void ProcfsView::drop(pid_t pid) {
  kept_.erase(pid);
  mapped_.forget(pid);
  table_.drop(pid);
}

std::optional<ProcessMemory> ProcfsView::whole_memory(pid_t pid) {
  std::optional<std::string> text = read_proc(directory_of(pid) + "/status");
  if (text && text->find("\nState:\tZ") != std::string::npos) {
    if (const std::optional<std::string> thread = thread_directory_of(pid)) {
      text = read_proc(*thread + "/status");
    }
  }
  return text ? parse_status(*text) : std::nullopt;
}

std::optional<ProcessMemory> ProcfsView::memory(pid_t pid) {
  keep(pid);
  Kept spare;
  Kept& known = kept(pid, spare);
  bool unreadable = false;
  std::optional<ProcessPages> pages;
  if (known.statm) {
    pages = read_pages(known.statm);
  } else {
    ScarceFile statm(directory_of(pid) + "/statm");
    unreadable = !statm && errno != ENOENT && errno != ESRCH;
    pages = read_pages(statm.fd());
    known.statm = statm.is_spare() ? UniqueFd() : statm.take();
  }
  const bool without_pages = !pages || pages->resident == 0;  // or its first thread has ended
  if (without_pages && !unreadable && !living(pid)) {
    drop(pid);
    return std::nullopt;
  }
  mapped_.note_size(pid, pages ? pages->unwritable : 0);
  if (without_pages || can_swap_ || pages->shared != known.shared_pages) {
    const std::optional<ProcessMemory> whole = whole_memory(pid);
    if (whole && pages) {
      known.last = *whole;
      known.shared_pages = pages->shared;
    }
    return whole;
  }
  ProcessMemory memory = known.last;
  memory.anonymous = {(pages->resident - pages->shared) * page_bytes_};
  return memory;
}

std::optional<ProcessIo> ProcfsView::io(pid_t pid) {
  Kept spare;
  Kept& known = kept(pid, spare);
  std::array<char, kRecord> buffer;
  const std::optional<std::string_view> text =
      read_kept(known.whole ? known.io : spare.io, directory_of(pid) + "/io", buffer);
  return text ? parse_io(*text) : std::nullopt;
}

Bytes ProcfsView::used_of_file_system(int fd) {
  struct statfs status = {};
  if (fstatfs(fd, &status) != 0) {
    return {};
  }
  return {static_cast<std::int64_t>(status.f_blocks - status.f_bfree) * status.f_bsize};
}

std::string ProcfsView::readable_directory(pid_t pid) {
  const std::optional<ProcessStat> process = stat(pid);
  return process && process->state == 'Z' ? thread_directory_of(pid).value_or(directory_of(pid))
                                          : directory_of(pid);
}

std::optional<std::vector<MemoryFile>> ProcfsView::memory_files(pid_t pid) {
  Kept spare;
  Kept& known = kept(pid, spare);
  if (known.descriptors) {
    rewinddir(known.descriptors.get());
    DescriptorTable table = read_table(known.descriptors.get(), directory_of(pid));
    if (table.size > 0) {
      return hides(table, directory_of(pid)) ? std::nullopt : std::optional(std::move(table.files));
    }
    known.descriptors.reset();  // it has ended, or its first thread has
  }
  const std::string process = readable_directory(pid);
  ScarceDirectory directory(process + "/fd");
  if (!directory) {
    const bool forbidden = errno == EACCES || errno == EPERM;
    if (forbidden && !without_memory(process)) {
      return std::nullopt;
    }
    return std::vector<MemoryFile>{};  // gone in the meantime
  }
  DescriptorTable table = read_table(directory.get(), process);
  if (known.whole && !directory.is_spare() && table.size > 0 && process == directory_of(pid)) {
    known.descriptors = directory.take();
  }
  directory.close();  // another one may be needed
  return hides(table, process) ? std::nullopt : std::optional(std::move(table.files));
}

bool ProcfsView::out_of_descriptors() {
  return std::exchange(failures_seen_, descriptor_failures()) != descriptor_failures();
}

MappedFileList ProcfsView::mapped_files(pid_t pid, MonotonicTime now) {
  // Below «task» a thread has no map_files; under its own number it has.
  const std::string process = mapped_.size_known(pid) ? directory_of(pid) : readable_directory(pid);
  return mapped_.of(pid, {.process = "/proc" + process.substr(process.rfind('/')), .now = now});
}

std::optional<Bytes> ProcfsView::shared_memory_of_host() {
  return parse_shared_total(read_proc("/proc/meminfo").value_or(""));
}

std::optional<std::vector<Mapping>> ProcfsView::mappings(pid_t pid) {
  const std::string process = readable_directory(pid);
  errno = 0;
  const std::optional<std::string> text = read_proc(process + "/smaps");
  if (!text && (errno == EACCES || errno == EPERM) && !without_memory(process)) {
    return std::nullopt;
  }
  std::vector<Mapping> mappings = text ? parse_smaps(*text) : std::vector<Mapping>{};
  for (Mapping& mapping : mappings) {
    mapping.shared_memory |= kept_in_memory(mapping.file);
  }
  return mappings;
}

std::optional<AnonymousShare> ProcfsView::anonymous_share(pid_t pid) {
  return parse_smaps_rollup(read_proc(readable_directory(pid) + "/smaps_rollup").value_or(""));
}

}  // namespace keisei::os
