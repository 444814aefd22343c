#pragma once

#include <string_view>

// What keisei-attack and those who start it agree on.
//
//   keisei-attack NAME COOKIE [ARG...]
namespace keisei::os {

inline constexpr const char* kAttackProgram = "keisei-attack";
/// In its environment, equal to COOKIE: without it keisei-attack does nothing.
inline constexpr std::string_view kAttackCookieVariable = "KEISEI_ATTACK_COOKIE";
/// Where it writes what it has to report.
inline constexpr int kAttackReportFd = 3;
/// Where its «train» finds the memory of a step clock.
inline constexpr int kAttackClockFd = 5;

// Its exit codes. What it found stands on stderr, in one line.
inline constexpr int kAttackHeld = 0;     ///< it was refused, or has nothing to break
inline constexpr int kAttackMisused = 2;  ///< it did nothing: wrong cookie or another build
inline constexpr int kAttackNotMade = 8;  ///< the host let it not even begin
inline constexpr int kAttackBrokeThrough = 9;

}  // namespace keisei::os
