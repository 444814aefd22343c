#include "os/marked_processes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "os/procfs.h"

namespace keisei::os {
namespace {

namespace fs = std::filesystem;

/// The numbers among the names in a directory.
std::vector<pid_t> numbers_in(const fs::path& directory) {
  std::vector<pid_t> numbers;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    pid_t number = 0;
    const auto [stop, bad] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (bad == std::errc{} && stop == name.data() + name.size()) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

/// `directory`: of a process, or of a thread.
std::string words_of(const std::string& directory) {
  return read_proc(directory + "/cmdline").value_or("") +
         read_proc(directory + "/environ").value_or("");
}

bool living(pid_t pid) {
  constexpr double kAnyTicks = 100;
  const auto stat =
      parse_stat(read_proc(fmt::format("/proc/{}/stat", pid)).value_or(""), kAnyTicks);
  return stat && !ended(*stat);
}

}  // namespace

bool carries_mark(pid_t pid, std::string_view mark) {
  const std::string process = fmt::format("/proc/{}", pid);
  std::string words = words_of(process);
  if (words.empty()) {  // of a kernel thread too, which has one
    for (const pid_t thread : numbers_in(process + "/task")) {
      words = thread == pid ? words : words_of(fmt::format("{}/task/{}", process, thread));
      if (!words.empty()) {
        break;
      }
    }
  }
  return words.find(mark) != std::string::npos && living(pid);
}

std::vector<pid_t> find_marked_processes(std::string_view mark) {
  std::vector<pid_t> found = numbers_in("/proc");
  std::erase_if(found, [mark](pid_t pid) { return pid == getpid() || !carries_mark(pid, mark); });
  return found;
}

}  // namespace keisei::os
