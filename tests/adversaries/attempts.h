#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <span>

namespace adversary {

/// One thing that must be refused with one of two errnos (0: none).
struct Attempt {
  const char* name;
  long (*make)();  ///< negative with errno where it was refused
  int refusal = EPERM;
  int other_refusal = 0;
};

/// The number of the first attempt that was not refused as its row says, 0 where all were.
inline int first_success(std::span<const Attempt> attempts) {
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    errno = 0;
    const long result = attempts[i].make();
    if (result >= 0 || (errno != attempts[i].refusal && errno != attempts[i].other_refusal)) {
      std::fprintf(stderr, "attempt %zu, %s: result %ld, errno %d\n", i + 1, attempts[i].name,
                   result, errno);
      return static_cast<int>(i + 1);
    }
  }
  return 0;
}

}  // namespace adversary
