#include "os/procfs.h"

#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "os/descriptors.h"

namespace keisei::os {
namespace {

template <typename Number>
std::optional<Number> to_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) {
    return std::nullopt;
  }
  return value;
}

/// Cuts the first word off `text`.
std::string_view next_word(std::string_view& text) {
  const std::size_t start = text.find_first_not_of(" \t\n");
  if (start == std::string_view::npos) {
    text = {};
    return {};
  }
  text.remove_prefix(start);
  const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
  text.remove_prefix(word.size());
  return word;
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// The value of «Name:   123 kB».
std::optional<std::int64_t> value_of(std::string_view line, std::string_view name) {
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') {
    return std::nullopt;
  }
  line.remove_prefix(name.size() + 1);
  return to_number<std::int64_t>(next_word(line));
}

/// The first «Name:» line of /proc/ID/status.
std::optional<pid_t> id_of(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    if (const auto id = value_of(next_line(text), name)) {
      return static_cast<pid_t>(*id);
    }
  }
  return std::nullopt;
}

/// «fd:01», hexadecimal, as st_dev.
std::uint64_t parse_device(std::string_view text) {
  unsigned major_number = 0;
  unsigned minor_number = 0;
  const std::size_t colon = std::min(text.find(':'), text.size());
  std::from_chars(text.data(), text.data() + colon, major_number, 16);
  text.remove_prefix(std::min(colon + 1, text.size()));
  std::from_chars(text.data(), text.data() + text.size(), minor_number, 16);
  return makedev(major_number, minor_number);
}

/// A mapping's first line: «7f..-7f.. rw-p 00000000 00:01 1234   /memfd:x (deleted)».
std::optional<Mapping> parse_mapping_head(std::string_view line) {
  const std::string_view range = next_word(line);
  const std::string_view permissions = next_word(line);
  if (range.find('-') == std::string_view::npos || permissions.size() != 4) {
    return std::nullopt;
  }
  next_word(line);  // offset
  Mapping mapping;
  mapping.file.device = parse_device(next_word(line));
  mapping.file.inode = to_number<std::uint64_t>(next_word(line)).value_or(0);
  const std::string_view path = next_word(line);
  mapping.shared_memory = path.starts_with("/memfd:") || path.starts_with("/SYSV") ||
                          path.starts_with("/dev/shm/") || path == "/dev/zero";
  return mapping;
}

}  // namespace

std::optional<ProcessStat> parse_stat(std::string_view text, double ticks_per_second) {
  const std::size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string_view::npos) {
    return std::nullopt;
  }
  const std::optional<pid_t> pid = to_number<pid_t>(text);
  text.remove_prefix(name_end + 1);
  constexpr std::size_t kWords = 20;  // from field 3 (state) to field 22 (starttime)
  std::array<std::string_view, kWords> words;
  for (std::string_view& word : words) {
    word = next_word(text);
  }
  const auto ticks = [&](std::size_t field) {
    return static_cast<double>(to_number<std::int64_t>(words[field - 3]).value_or(0)) /
           ticks_per_second;
  };
  const std::optional<pid_t> parent = to_number<pid_t>(words[4 - 3]);
  const std::optional<std::uint64_t> start = to_number<std::uint64_t>(words[22 - 3]);
  if (!pid || !parent || !start || words[0].size() != 1) {
    return std::nullopt;
  }
  return ProcessStat{.pid = *pid,
                     .state = words[0][0],
                     .parent = *parent,
                     .threads = to_number<int>(words[20 - 3]).value_or(0),
                     .cpu_seconds = ticks(14) + ticks(15),
                     .reaped_cpu_seconds = ticks(16) + ticks(17),
                     .start_ticks = *start};
}

bool ended(const ProcessStat& process) {
  return process.state == 'X' || (process.state == 'Z' && process.threads <= 1);
}

std::optional<ProcessMemory> parse_status(std::string_view text) {
  if (!text.starts_with("Name:")) {
    return std::nullopt;
  }
  ProcessMemory memory;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (const auto anonymous = value_of(line, "RssAnon")) {
      memory.anonymous.count += *anonymous * 1024;
    } else if (const auto swapped = value_of(line, "VmSwap")) {
      memory.anonymous.count += *swapped * 1024;
    } else if (const auto shared = value_of(line, "RssShmem")) {
      memory.shared.count = *shared * 1024;
    } else if (const auto file_backed = value_of(line, "RssFile")) {
      memory.file_backed.count = *file_backed * 1024;
    } else if (const auto threads = value_of(line, "Threads")) {
      memory.threads = static_cast<int>(*threads);
      break;  // the memory lines come before it
    }
  }
  return memory;
}

std::optional<pid_t> parse_thread_group(std::string_view text) { return id_of(text, "Tgid"); }

std::optional<pid_t> parse_parent(std::string_view text) { return id_of(text, "PPid"); }

std::optional<ProcessPages> parse_statm(std::string_view text) {
  const auto size = to_number<std::int64_t>(next_word(text));
  const auto resident = to_number<std::int64_t>(next_word(text));
  const auto shared = to_number<std::int64_t>(next_word(text));
  next_word(text);  // the program's text
  next_word(text);  // always 0
  const auto data = to_number<std::int64_t>(next_word(text));
  if (!size || !resident || !shared || !data) {
    return std::nullopt;
  }
  return ProcessPages{.resident = *resident, .shared = *shared, .unwritable = *size - *data};
}

std::optional<ProcessIo> parse_io(std::string_view text) {
  std::optional<std::int64_t> read;
  std::optional<std::int64_t> written;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (const auto bytes = value_of(line, "read_bytes")) {
      read = *bytes;
    } else if (const auto bytes_written = value_of(line, "write_bytes")) {
      written = *bytes_written;
    }
  }
  if (!read || !written) {
    return std::nullopt;
  }
  return ProcessIo{.read = {*read}, .written = {*written}};
}

std::optional<pid_t> parse_newest_pid(std::string_view text) {
  std::string_view word;
  for (int i = 0; i < 5; ++i) {
    word = next_word(text);
  }
  return to_number<pid_t>(word);
}

std::vector<Mapping> parse_smaps(std::string_view text) {
  std::vector<Mapping> mappings;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (const std::optional<Mapping> head = parse_mapping_head(line)) {
      mappings.push_back(*head);
      continue;
    }
    if (mappings.empty()) {
      continue;
    }
    Mapping& mapping = mappings.back();
    if (const auto pss = value_of(line, "Pss")) {
      mapping.proportional.count += *pss * 1024;
    } else if (const auto swap = value_of(line, "SwapPss")) {
      mapping.proportional.count += *swap * 1024;
    } else if (const auto anonymous = value_of(line, "Anonymous")) {
      mapping.anonymous.count = *anonymous * 1024;
    } else if (const auto resident = value_of(line, "Rss")) {
      mapping.resident.count = *resident * 1024;
    }
  }
  return mappings;
}

std::optional<AnonymousShare> parse_smaps_rollup(std::string_view text) {
  std::optional<Bytes> resident;
  std::optional<Bytes> proportional;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (const auto all = value_of(line, "Anonymous")) {
      resident = Bytes{*all * 1024};
    } else if (const auto share = value_of(line, "Pss_Anon")) {
      proportional = Bytes{*share * 1024};
    }
  }
  if (!resident || !proportional) {
    return std::nullopt;
  }
  return AnonymousShare{.resident = *resident, .proportional = *proportional};
}

std::vector<MappedRange> parse_maps(std::string_view text) {
  std::vector<MappedRange> ranges;
  while (!text.empty()) {
    std::string_view line = next_line(text);
    const std::optional<Mapping> head = parse_mapping_head(line);
    if (!head) {
      continue;
    }
    MappedRange range{.file = head->file};
    const std::string_view addresses = next_word(line);
    const char* const last = addresses.data() + addresses.size();
    const char* const dash = std::from_chars(addresses.data(), last, range.begin, 16).ptr;
    std::from_chars(std::min(dash + 1, last), last, range.end, 16);
    const std::string_view permissions = next_word(line);
    range.writes_through = permissions[1] == 'w' && permissions[3] == 's';
    ranges.push_back(range);
  }
  return ranges;
}

std::optional<double> parse_busy_seconds(std::string_view text, double ticks_per_second) {
  constexpr std::array<bool, 8> kBusy = {true, true, true, false, false, true, true, true};
  std::string_view line = next_line(text);
  if (next_word(line) != "cpu") {
    return std::nullopt;
  }
  double ticks = 0;
  for (const bool busy : kBusy) {  // user nice system idle iowait irq softirq steal
    const auto count = to_number<std::uint64_t>(next_word(line));
    if (!count) {
      return std::nullopt;
    }
    ticks += busy ? static_cast<double>(*count) : 0;
  }
  return ticks / ticks_per_second;
}

std::optional<Bytes> parse_mem_total(std::string_view text) {
  const auto total = value_of(next_line(text), "MemTotal");
  return total ? std::optional(Bytes{*total * 1024}) : std::nullopt;
}

std::optional<Bytes> parse_shared_total(std::string_view text) {
  while (!text.empty()) {
    if (const auto shared = value_of(next_line(text), "Shmem")) {
      return Bytes{*shared * 1024};
    }
  }
  return std::nullopt;
}

std::optional<double> cpu_seconds_of(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) {
    return std::nullopt;
  }
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::optional<std::string> read_proc(const std::string& path, std::size_t most) {
  const ScarceFile file(path);
  if (!file) {
    return std::nullopt;
  }
  std::string text;
  std::array<char, 4096> buffer;
  ssize_t got = 0;
  while (text.size() < most && (got = read(file.fd().get(), buffer.data(),
                                           std::min(buffer.size(), most - text.size()))) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  if (got < 0) {
    return std::nullopt;
  }
  return text;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code error;
  std::filesystem::directory_iterator threads("/proc/" + std::to_string(pid) + "/task", error);
  for (; !error && threads != std::filesystem::directory_iterator(); threads.increment(error)) {
    const auto text = read_proc((threads->path() / "children").string());
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    while (!rest.empty()) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      if (const auto child = to_number<pid_t>(word)) {
        children.push_back(*child);
      }
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
  }
  return children;
}

}  // namespace keisei::os
