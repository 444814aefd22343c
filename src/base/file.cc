#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace keisei {

Result<std::string> read_file(const std::filesystem::path& path, Bytes limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return fail_errno(fmt::format("opening {}", path.string()));
  }
  std::string content;
  constexpr std::size_t kChunk = 1 << 16;
  while (true) {
    const std::size_t size = content.size();
    content.resize(size + kChunk);
    const ssize_t got = ::read(fd.get(), content.data() + size, kChunk);
    if (got < 0 && errno == EINTR) {
      content.resize(size);
      continue;
    }
    if (got < 0) {
      return fail_errno(fmt::format("reading {}", path.string()));
    }
    content.resize(size + static_cast<std::size_t>(got));
    if (got == 0) {
      return content;
    }
    if (static_cast<std::int64_t>(content.size()) > limit.count) {
      return fail("reading {}: it is larger than {}", path.string(), to_string(limit));
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
      return fail_errno("writing");
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

namespace {

Result<void> write_and_sync(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) {
    return fail_errno(fmt::format("creating {}", path.string()));
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
  if (auto written = write_and_sync(temporary, bytes); !written) {
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
