#pragma once

#include <dirent.h>

#include <memory>
#include <string>

#include "base/unique_fd.h"

namespace keisei::os {

// A guard reads /proc with descriptors, of which a process has a limited number: what it keeps open
// leaves half of them to others, and one is set aside to read with when others have taken the rest.

/// As long as one of these is there this process has a descriptor set aside.
class SpareDescriptor {
 public:
  SpareDescriptor();
  ~SpareDescriptor();
  SpareDescriptor(const SpareDescriptor&) = delete;
  SpareDescriptor& operator=(const SpareDescriptor&) = delete;
};

/// A file that is opened in the place of the spare descriptor where there is no other, and then
/// becomes the spare one again.
class ScarceFile {
 public:
  /// `more_flags` beside O_RDONLY and O_CLOEXEC. errno tells why there is none.
  explicit ScarceFile(const std::string& path, int more_flags = 0);
  ~ScarceFile();
  ScarceFile(ScarceFile&& other) = delete;
  ScarceFile& operator=(ScarceFile&& other) = delete;

  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }
  [[nodiscard]] const UniqueFd& fd() const { return fd_; }
  /// Whether it may stay open.
  [[nodiscard]] bool is_spare() const { return spare_; }
  [[nodiscard]] UniqueFd take() { return std::move(fd_); }

 private:
  bool spare_ = false;
  UniqueFd fd_;  // its making sets the above
};

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using OpenDirectory = std::unique_ptr<DIR, CloseDirectory>;

/// The same of a directory.
class ScarceDirectory {
 public:
  explicit ScarceDirectory(const std::string& path);
  ~ScarceDirectory() { close(); }
  ScarceDirectory(ScarceDirectory&& other) = delete;
  ScarceDirectory& operator=(ScarceDirectory&& other) = delete;

  [[nodiscard]] explicit operator bool() const { return directory_ != nullptr; }
  [[nodiscard]] DIR* get() const { return directory_.get(); }
  [[nodiscard]] bool is_spare() const { return spare_; }
  [[nodiscard]] OpenDirectory take() { return std::move(directory_); }
  void close();

 private:
  OpenDirectory directory_;
  bool spare_ = false;
};

/// How often this thread had none at all for what it wanted to read.
[[nodiscard]] int descriptor_failures();

/// The right to keep some files open: all rights of this process are for half its descriptors.
class DescriptorShare {
 public:
  DescriptorShare() = default;
  ~DescriptorShare();
  DescriptorShare(DescriptorShare&& other) noexcept;
  DescriptorShare& operator=(DescriptorShare&& other) noexcept;
  /// Whether it is for `more` now.
  [[nodiscard]] bool grow(int more);

 private:
  int count_ = 0;
};

}  // namespace keisei::os
