#pragma once

#include <string>
#include <string_view>

namespace adversary {

/// The part of the cookie that names its test run: what an adversary leaves behind carries it.
inline std::string run_name(std::string_view cookie) {
  return std::string(cookie.substr(cookie.find('=') + 1));
}

/// A key for System V objects, never IPC_PRIVATE.
inline int ipc_key(std::string_view cookie) {
  unsigned hash = 2166136261U;  // FNV-1a
  for (const char c : run_name(cookie)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  return static_cast<int>(hash >> 1 | 1U);
}

}  // namespace adversary
