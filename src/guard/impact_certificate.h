#pragma once

#include <span>
#include <string>
#include <vector>

#include "guard/training_impact.h"
#include "telemetry/records.h"

namespace keisei::guard {

/// What a supervision claims about its evaluations' cost, and on what grounds.
struct ImpactCertificate {
  std::int64_t supervision = 0;
  double limit = 0.05;
  double alpha = 0.05;
  ImpactEstimate impact = {};
};

/// One JSON object (RUN/impact.json). Numbers have all their digits.
[[nodiscard]] std::string to_json(const ImpactCertificate& certificate);

/// From the raw frames alone, one per supervision, in their order.
[[nodiscard]] std::vector<ImpactCertificate> certificates_of(
    std::span<const telemetry::FrameRecord> frames, double limit);

/// For people: a paragraph of lines.
[[nodiscard]] std::string to_text(const ImpactCertificate& certificate);

}  // namespace keisei::guard
