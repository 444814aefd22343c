#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace keisei {

/// The whole file. Fails where it cannot be read or is larger than `limit`.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            Bytes limit = megabytes(1000));

/// The same of a file, pipe or socket that is open, from where it stands. `name` is for messages.
[[nodiscard]] Result<std::string> read_all(int fd, std::string_view name, Bytes limit);

/// Writes all of `bytes` to `fd`, over short writes and EINTR. Blocks.
[[nodiscard]] Result<void> write_all(int fd, std::span<const std::byte> bytes);

/// Replaces `path` as a whole or leaves it untouched, also over a crash or a full disk: writes a
/// temporary file beside it, fsyncs, renames, fsyncs the directory. No temporary file stays behind
/// on failure. A file that was there keeps its mode. Blocks on the disk.
[[nodiscard]] Result<void> write_file_atomically(const std::filesystem::path& path,
                                                 std::span<const std::byte> bytes);
[[nodiscard]] Result<void> write_file_atomically(const std::filesystem::path& path,
                                                 std::string_view text);

}  // namespace keisei
