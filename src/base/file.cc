#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/unique_fd.h"

namespace keisei {

Result<std::string> read_file(const std::filesystem::path& path, Bytes limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return fail_errno(fmt::format("opening {}", path.string()));
  }
  return read_all(fd.get(), path.string(), limit);
}

Result<std::string> read_all(int fd, std::string_view name, Bytes limit) {
  std::string content;
  constexpr std::size_t kChunk = 1 << 16;
  while (true) {
    const std::size_t size = content.size();
    content.resize(size + kChunk);
    const ssize_t got = ::read(fd, content.data() + size, kChunk);
    if (got < 0 && errno == EINTR) {
      content.resize(size);
      continue;
    }
    if (got < 0) {
      return fail_errno(fmt::format("reading {}", name));
    }
    content.resize(size + static_cast<std::size_t>(got));
    if (got == 0) {
      return content;
    }
    if (static_cast<std::int64_t>(content.size()) > limit.count) {
      return fail("reading {}: it is larger than {}", name, to_string(limit));
    }
  }
}

Result<void> write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      const bool limited = errno == EFBIG;
      tl::unexpected<Error> failed = fail_errno("writing");
      return limited
                 ? fail("{}; is there a limit on file sizes (ulimit -f)?", failed.value().message)
                 : failed;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

namespace {

constexpr mode_t kPermissions = 07777;

/// Of the regular file at `path`; nothing where there is none.
std::optional<mode_t> mode_of(const std::filesystem::path& path) {
  struct stat status {};
  const bool there = ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
  return there ? std::optional(status.st_mode & kPermissions) : std::nullopt;
}

/// `mode` nothing: what a new file has.
Result<void> write_and_sync(const std::filesystem::path& path, std::span<const std::byte> bytes,
                            std::optional<mode_t> mode) {
  constexpr mode_t kNew = 0644;
  // Whoever may not read the old file does not get to read the new one before its mode is set.
  const mode_t at_first = mode ? *mode & S_IRWXU : kNew;
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, at_first));
  if (!fd) {
    return fail_errno(fmt::format("creating {}", path.string()));
  }
  if (mode && ::fchmod(fd.get(), *mode) != 0) {
    return fail_errno(fmt::format("giving {} the mode of what it replaces", path.string()));
  }
  if (auto written = write_all(fd.get(), bytes); !written) {
    return with_context(std::move(written).error(), path.string());
  }
  if (::fsync(fd.get()) != 0) {
    return fail_errno(fmt::format("syncing {} to disk", path.string()));
  }
  return {};
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) {
    return fail_errno(fmt::format("syncing the directory {}", directory.string()));
  }
  return {};
}

}  // namespace

Result<void> write_file_atomically(const std::filesystem::path& path,
                                   std::span<const std::byte> bytes) {
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  const std::filesystem::path temporary =
      directory / fmt::format(".{}.{}.tmp", path.filename().string(), ::getpid());
  if (auto written = write_and_sync(temporary, bytes, mode_of(path)); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    auto error = fail_errno(fmt::format("renaming {} to {}", temporary.string(), path.string()));
    ::unlink(temporary.c_str());
    return error;
  }
  return sync_directory(directory);
}

Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  return write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace keisei
