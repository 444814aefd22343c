#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guard/training_impact.h"
#include "telemetry/records.h"

namespace keisei::guard {

/// What a supervision claims about its evaluations' cost, and on what grounds.
struct ImpactCertificate {
  std::int64_t supervision = 0;
  double limit = 0.05;
  double alpha = 0.05;
  std::optional<std::uint64_t> seed = {};  ///< of its hold-outs; not in the frames
  std::string tier = {};                   ///< that its last evaluation had; not in the frames
  ImpactEstimate impact = {};
};

/// One JSON object (RUN/impact.json). Numbers have all their digits.
[[nodiscard]] std::string to_json(const ImpactCertificate& certificate);

/// From the raw frames alone, one per supervision, in their order.
[[nodiscard]] std::vector<ImpactCertificate> certificates_of(
    std::span<const telemetry::FrameRecord> frames, double limit);

/// Those of the last one.
[[nodiscard]] std::span<const telemetry::FrameRecord> last_supervision(
    std::span<const telemetry::FrameRecord> frames);

/// The seed in such a JSON object. Fails on what has none.
[[nodiscard]] Result<std::uint64_t> parse_seed(std::string_view json);

/// Whose certificate such a JSON object is; nothing where it does not tell.
[[nodiscard]] std::optional<std::int64_t> parse_supervision(std::string_view json);

/// For people: a paragraph of lines.
[[nodiscard]] std::string to_text(const ImpactCertificate& certificate);

}  // namespace keisei::guard
