#include "base/clock.h"

#include <fmt/format.h>

#include <ctime>

namespace keisei {
namespace {

std::tm utc_fields(WallTime time) {
  const std::time_t whole = std::chrono::system_clock::to_time_t(time);
  std::tm fields{};
  gmtime_r(&whole, &fields);
  return fields;
}

}  // namespace

std::string iso_utc(WallTime time) {
  const std::tm t = utc_fields(std::chrono::floor<std::chrono::seconds>(time));
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", t.tm_year + 1900, t.tm_mon + 1,
                     t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, since_epoch.count() % 1000);
}

std::string compact_utc(WallTime time) {
  const std::tm t = utc_fields(time);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                     t.tm_hour, t.tm_min, t.tm_sec);
}

}  // namespace keisei
