#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "eval/wire.h"

// A worker may write anything: reading it must neither crash nor count a game that was not asked
// for.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const keisei::eval::EvaluationRequest request{
      .id = "f", .opponents = {{"random", keisei::match::PlayerKind::Random, -1}}, .games = 2};
  if (const auto report = keisei::eval::parse_report(text, request)) {
    KEISEI_CHECK(report->games.size() <= 2, "{} games of 2", report->games.size());
  }
  (void)keisei::eval::parse_request(text);
  return 0;
}
