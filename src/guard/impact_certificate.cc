#include "guard/impact_certificate.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace keisei::guard {
namespace {

using Json = nlohmann::ordered_json;

Json share_json(const BoundedShare& share) {
  return {{"estimate", share.estimate}, {"lower", share.lower}, {"upper", share.upper}};
}

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

std::string share_text(const BoundedShare& share) {
  return fmt::format("{} [{}, {}]", percent(share.estimate), percent(std::max(share.lower, -1.0)),
                     percent(share.upper));
}

/// The phase in which evaluations cost most of the training's time.
std::string critical_path(const ImpactEstimate& impact) {
  std::string name;
  double most = 0;
  for (const auto& [phase, cost] : impact.phases) {
    const double product = cost.share * cost.loss.value_or(0);
    if (product > most) {
      most = product;
      name = phase;
    }
  }
  return name;
}

std::string positive_text(const PositiveControl& control) {
  if (control.attempts == 0) {
    return "-   not run: it needs two minutes of training, and then time between evaluations";
  }
  return fmt::format("{}   {} blocks beside a load of {:.1f} CPUs: {}", share_text(control.loss),
                     control.blocks, control.load_cpus,
                     control.detected()                                ? "seen"
                     : control.attempts < PositiveControl::kMostBlocks ? "not seen yet"
                                                                       : "not seen");
}

std::int64_t discarded_of(const ImpactEstimate& impact) {
  std::int64_t count = 0;
  for (const auto& [reason, frames] : impact.discarded) {
    count += frames;
  }
  return count;
}

}  // namespace

std::string to_json(const ImpactCertificate& certificate) {
  const ImpactEstimate& impact = certificate.impact;
  Json phases = Json::object();
  for (const auto& [name, phase] : impact.phases) {
    phases[name] = {{"share", phase.share}, {"loss", phase.loss ? Json(*phase.loss) : nullptr}};
  }
  Json discarded = Json::object();
  for (const auto& [reason, frames] : impact.discarded) {
    discarded[reason] = frames;
  }
  const Json json = {
      {"supervision", certificate.supervision},
      {"limit", certificate.limit},
      {"alpha", certificate.alpha},
      {"seed", certificate.seed ? Json(*certificate.seed) : nullptr},
      {"tier", certificate.tier.empty() ? nullptr : Json(certificate.tier)},
      {"verdict", to_string(impact.verdict)},
      {"reason", impact.reason},
      {"amortised", share_json(impact.amortised)},
      {"while_running", share_json(impact.while_running)},
      {"log_ratio", impact.log_ratio ? Json(*impact.log_ratio) : nullptr},
      {"training_s", impact.training_s},
      {"running_s", impact.running_s},
      {"lost_s_upper", impact.lost_s_upper},
      {"snapshots_s", impact.snapshots_s},
      {"watching_s", impact.watching_s},
      {"standing_s", impact.standing_s},
      {"unsettled_s", impact.unsettled_s},
      {"blocks", impact.blocks},
      {"on_frames", impact.frames},
      {"wholly_lost_blocks", impact.wholly_lost},
      {"discarded_frames", discarded},
      {"phases", phases},
      {"critical_path", critical_path(impact)},
      {"negative_control",
       {{"blocks", impact.control_blocks}, {"loss", share_json(impact.negative_control)}}},
      {"positive_control",
       {{"blocks", impact.positive_control.blocks},
        {"loss", share_json(impact.positive_control.loss)},
        {"attempts", impact.positive_control.attempts},
        {"load_cpus", impact.positive_control.load_cpus},
        {"trainer_cpus", impact.positive_control.trainer_cpus},
        {"trainer_cpu_loss", impact.positive_control.trainer_cpu_loss
                                 ? Json(*impact.positive_control.trainer_cpu_loss)
                                 : nullptr},
        {"lost_s", impact.positive_control.lost_s}}}};
  return json.dump(2) + "\n";
}

std::vector<ImpactCertificate> certificates_of(std::span<const telemetry::FrameRecord> frames,
                                               double limit) {
  std::vector<ImpactCertificate> certificates;
  for (auto rest = frames; !rest.empty();) {
    ImpactCertificate certificate{.supervision = rest.front().supervision, .limit = limit};
    TrainingImpact impact({.limit = limit, .alpha = certificate.alpha});
    while (!rest.empty() && rest.front().supervision == certificate.supervision) {
      impact.add(rest.front());
      rest = rest.subspan(1);
    }
    certificate.impact = impact.estimate();
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

std::span<const telemetry::FrameRecord> last_supervision(
    std::span<const telemetry::FrameRecord> frames) {
  const auto other = std::find_if(frames.rbegin(), frames.rend(), [&](const auto& frame) {
    return frame.supervision != frames.back().supervision;
  });
  return frames.subspan(static_cast<std::size_t>(frames.rend() - other));
}

Result<std::uint64_t> parse_seed(std::string_view json) {
  const Json parsed = Json::parse(json, nullptr, false);
  const auto seed = parsed.is_object() ? parsed.find("seed") : parsed.end();
  if (seed == parsed.end() || !seed->is_number_unsigned()) {
    return fail("it has no seed: it is not the certificate of a supervision that has ended");
  }
  return seed->get<std::uint64_t>();
}

std::optional<std::int64_t> parse_supervision(std::string_view json) {
  const Json parsed = Json::parse(json, nullptr, false);
  const auto supervision = parsed.is_object() ? parsed.find("supervision") : parsed.end();
  return supervision != parsed.end() && supervision->is_number_integer()
             ? std::optional(supervision->get<std::int64_t>())
             : std::nullopt;
}

std::string to_text(const ImpactCertificate& certificate) {
  const ImpactEstimate& impact = certificate.impact;
  std::string text = fmt::format(
      "training impact: {} (limit {}, each bound 95 % at every look)\n"
      "  of all training   {}   {:.0f} s watched\n"
      "  while they run    {}   {:.1f} s, {} blocks with {} frames{}\n",
      to_string(impact.verdict), percent(certificate.limit), share_text(impact.amortised),
      impact.training_s, share_text(impact.while_running), impact.running_s, impact.blocks,
      impact.frames,
      impact.log_ratio ? fmt::format("; mean ln(on/off) {:.4f}", *impact.log_ratio) : "");
  if (!impact.reason.empty()) {
    text += fmt::format("  why               {}\n", impact.reason);
  }
  for (const auto& [name, phase] : impact.phases) {
    text += fmt::format("  in {:<14} {}   {} of the training's time\n", name,
                        phase.loss ? percent(*phase.loss) : "-", percent(phase.share));
  }
  if (const std::string path = critical_path(impact); !path.empty()) {
    text += fmt::format("  critical path     {}\n", path);
  }
  text += fmt::format("  negative control  {}   {} blocks in which nothing ran\n",
                      impact.control_blocks > 0 ? share_text(impact.negative_control) : "-",
                      impact.control_blocks);
  text += fmt::format("  positive control  {}\n", positive_text(impact.positive_control));
  text += fmt::format("  between blocks    {:.1f} s, charged with the bound or what was seen\n",
                      impact.unsettled_s);
  text += fmt::format("  snapshots         {:.3f} s of the training thread\n", impact.snapshots_s);
  text += fmt::format("  watching          {:.2f} CPU seconds of the supervisor, all charged\n",
                      impact.watching_s);
  text +=
      fmt::format("  standing still    {:.2f} CPU seconds of stopped evaluations, all charged\n",
                  impact.standing_s);
  text += fmt::format(
      "  discarded         {} frames; their rates decided nothing, but for «faster than "
      "possible»\n",
      discarded_of(impact));
  for (const auto& [reason, frames] : impact.discarded) {
    text += fmt::format("    {:>5}  {}\n", frames, reason);
  }
  text += fmt::format("  supervision       {}\n", certificate.supervision);
  if (certificate.seed) {
    text += fmt::format("  seed              {}\n", *certificate.seed);
  }
  if (!certificate.tier.empty()) {
    text += fmt::format("  tier              {}\n", certificate.tier);
  }
  return text;
}

}  // namespace keisei::guard
