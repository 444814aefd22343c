#include "os/program.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <system_error>

namespace keisei::os {
namespace {

Result<std::filesystem::path> program_directory() {
  if (const char* named = std::getenv("KEISEI_LIBEXEC"); named != nullptr && *named != '\0') {
    return std::filesystem::path(named);
  }
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return fail("reading /proc/self/exe: {}; is /proc mounted?", error.message());
  }
  return self.parent_path();
}

}  // namespace

Result<std::filesystem::path> find_program(std::string_view name) {
  KEISEI_TRY(directory, program_directory());
  std::filesystem::path path = directory / name;
  if (access(path.c_str(), X_OK) != 0) {
    return fail_errno(fmt::format(
        "{} (it belongs beside the running program, or in the directory KEISEI_LIBEXEC names)",
        path.string()));
  }
  return path;
}

void open_missing_standard_descriptors() {
  int opened = -1;
  do {                                   // open takes the lowest number that is free
    opened = open("/dev/null", O_RDWR);  // a child inherits its standard streams
  } while (opened >= 0 && opened <= STDERR_FILENO);
  if (opened > STDERR_FILENO) {
    close(opened);
  }
}

Result<std::vector<int>> inherited_descriptors() {
  std::error_code error;
  std::filesystem::directory_iterator entries("/proc/self/fd", error);
  if (error) {
    return fail("reading /proc/self/fd: {}; is /proc mounted?", error.message());
  }
  std::vector<int> found;
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    const int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) {
      found.push_back(fd);
    }
  }
  std::ranges::sort(found);
  return found;
}

std::vector<std::string> current_environment() {
  std::vector<std::string> result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    result.emplace_back(*entry);
  }
  return result;
}

}  // namespace keisei::os
