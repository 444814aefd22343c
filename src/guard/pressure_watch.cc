#include "guard/pressure_watch.h"

#include <fmt/format.h>

#include <thread>
#include <utility>

namespace keisei::guard {
namespace {

constexpr std::chrono::seconds kUnasked(2);
constexpr std::chrono::milliseconds kInterval(250);  // the kernel renews its averages every 2 s

}  // namespace

PressureWatch::PressureWatch(HostPressure host)
    : host_(std::move(host)), cores_(static_cast<int>(std::thread::hardware_concurrency())) {}

PressureVerdict PressureWatch::level(PressureResponse response, Bytes memory, int own_threads,
                                     MonotonicTime now) {
  if (response == PressureResponse::Ignore) {
    return {};
  }
  if (!sampled_ || now - *sampled_ >= kInterval) {
    sample_ = sample_pressure(host_.proc);
    sampled_ = now;
  }
  if (response == PressureResponse::Shortage) {
    return shortage_.judge(assess_shortage(sample_, Trend::Rising),
                           assess_shortage(sample_, Trend::Falling), now);
  }
  const PressureDemand demand{.memory = memory,
                              .cores = cores_,
                              .trainer_threads = host_.trainer_threads,
                              .own_threads = own_threads};
  return degrade_.judge(assess(sample_, demand, Trend::Rising),
                        assess(sample_, demand, Trend::Falling), now);
}

GateAnswer DegradationTrail::take(const PressureVerdict& verdict,
                                  std::chrono::nanoseconds longest_deferral, MonotonicTime now) {
  if (verdict.level != level()) {
    enter(verdict.level,
          verdict.level == ServiceLevel::Full ? "the pressure is over" : verdict.cause, now);
  }
  if (verdict.level < ServiceLevel::Deferred) {
    deferred_since_.reset();
    return {};
  }
  if (verdict.level == ServiceLevel::Rejected) {
    return {Go::Never, verdict.cause};
  }
  if (asked_ && now - *asked_ > kUnasked) {
    deferred_since_.reset();  // it stood in the queue, and nobody looked whether the pressure lasts
  }
  asked_ = now;
  deferred_since_ = deferred_since_.value_or(now);
  if (now - *deferred_since_ < longest_deferral) {
    return {Go::Later, "deferred: " + verdict.cause};
  }
  const std::string cause = fmt::format("deferred for {} without end: {}",
                                        keisei::to_string(longest_deferral), verdict.cause);
  enter(ServiceLevel::Rejected, cause, now);
  return {Go::Never, cause};
}

ServiceLevel DegradationTrail::level() const {
  return steps_.empty() ? ServiceLevel::Full : steps_.back().level;
}

std::vector<DegradationStep> DegradationTrail::steps(MonotonicTime now) const {
  std::vector<DegradationStep> steps = steps_;
  if (!steps.empty() && steps.back().level == ServiceLevel::Deferred) {
    steps.back().waited_ms = milliseconds(now - since_);
  }
  return steps;
}

void DegradationTrail::enter(ServiceLevel level, std::string cause, MonotonicTime now) {
  if (!steps_.empty()) {
    steps_.back().waited_ms = milliseconds(now - since_);
  }
  steps_.push_back({level, std::move(cause), 0});
  since_ = now;
}

}  // namespace keisei::guard
