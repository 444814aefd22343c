#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guard/record.h"

namespace keisei::app {

/// Where `--report` wants the record: into an open file, or in place of a file; nowhere where it
/// was not given.
class RecordSink {
 public:
  /// Before the run, so that no run is lost for a record that cannot be written. «-» is stderr. A
  /// fifo waits for its reader, as in a shell. Fails with what to do where nothing can be written.
  [[nodiscard]] static Result<RecordSink> open(const std::string& where);

  [[nodiscard]] Result<void> write(const guard::GuardRecord& record) const;

 private:
  RecordSink() = default;
  static Result<RecordSink> in_place(const std::filesystem::path& path);
  static Result<RecordSink> by_replacing(std::filesystem::path path);

  UniqueFd open_;
  std::filesystem::path replaced_;
};

}  // namespace keisei::app
