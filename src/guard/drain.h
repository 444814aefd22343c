#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/unique_fd.h"

namespace keisei::guard {

/// A pipe end that is read without blocking, into bounded memory.
class Drain {
 public:
  enum class Keep { Head, Tail };

  Drain() = default;
  /// `fd` is nonblocking. Keeps the first or the last `limit` bytes.
  Drain(UniqueFd fd, Keep keep, std::size_t limit)
      : fd_(std::move(fd)), keep_(keep), limit_(limit) {}

  /// Reads what is there, 1 MiB at most. At its end the descriptor closes.
  void read_available();
  /// Reads to the end; only where every writer is gone.
  void read_rest();

  [[nodiscard]] int fd() const { return fd_.get(); }             ///< -1: none, or at its end
  [[nodiscard]] bool overflowed() const { return overflowed_; }  ///< more than `limit` came
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::string take_text() { return std::move(text_); }

 private:
  void add(std::string_view bytes);

  UniqueFd fd_;
  Keep keep_ = Keep::Head;
  std::size_t limit_ = 0;
  bool overflowed_ = false;
  std::string text_;
};

}  // namespace keisei::guard
