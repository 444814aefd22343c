#include "app/record_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <system_error>
#include <utility>

#include "base/file.h"

namespace keisei::app {
namespace {

/// Whether `path` is one of the links by which /proc shows somebody's open files.
bool names_descriptor(const std::filesystem::path& path) {
  std::error_code error;
  const auto parent = std::filesystem::canonical(path.parent_path(), error);
  return !error && parent.string().starts_with("/proc/");
}

tl::unexpected<Error> cannot_write(const std::filesystem::path& path) {
  const bool missing = errno == ENOENT || errno == ENOTDIR;
  Error error =
      fail_errno(fmt::format("--report '{}': the record cannot be written there", path.string()))
          .value();
  error.message += missing ? "; make its directory first" : "; name a file that you may write";
  return tl::unexpected(std::move(error));
}

}  // namespace

Result<RecordSink> RecordSink::in_place(const std::filesystem::path& path) {
  RecordSink sink;
  sink.open_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!sink.open_) {
    return cannot_write(path);
  }
  return sink;
}

/// The file itself is replaced in the end, not a link to it.
Result<RecordSink> RecordSink::by_replacing(std::filesystem::path path) {
  std::error_code error;
  while (std::filesystem::is_symlink(path, error)) {  // not in a ring: stat has followed it
    if (names_descriptor(path)) {
      return in_place(path);
    }
    path = path.parent_path() / std::filesystem::read_symlink(path, error);
  }
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  if (access(directory.c_str(), W_OK | X_OK) != 0 ||
      (access(path.c_str(), W_OK) != 0 && errno != ENOENT)) {
    return cannot_write(path);
  }
  RecordSink sink;
  sink.replaced_ = std::move(path);
  return sink;
}

Result<RecordSink> RecordSink::open(const std::string& where) {
  RecordSink sink;
  if (where.empty()) {
    return sink;
  }
  if (where == "-") {
    sink.open_ = UniqueFd(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!sink.open_) {
      return fail_errno("writing the record to stderr");
    }
    return sink;
  }
  struct stat status = {};
  const bool exists = stat(where.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) {
    return cannot_write(where);
  }
  return exists && !S_ISREG(status.st_mode) ? in_place(where) : by_replacing(where);
}

Result<void> RecordSink::write(const guard::GuardRecord& record) const {
  const std::string text = guard::to_json(record) + "\n";
  if (open_) {
    return write_all(open_.get(), std::as_bytes(std::span(text)));
  }
  return replaced_.empty() ? Result<void>() : write_file_atomically(replaced_, text);
}

}  // namespace keisei::app
