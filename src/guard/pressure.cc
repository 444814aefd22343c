#include "guard/pressure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "os/procfs.h"

namespace keisei::guard {
namespace {

/// A level begins at `enter` and is taken back below `leave`.
struct Threshold {
  double enter = 0;
  double leave = 0;
  ServiceLevel level = ServiceLevel::Full;

  [[nodiscard]] double of(Trend trend) const { return trend == Trend::Rising ? enter : leave; }
};

// Memory weighs most. A task that waits for memory loses that share of its time, the trainer among
// them: from 5 % on, what an evaluation may cost the training is spent before it has begun. More
// games and threads touch more memory; from 20 %, or when nobody gets on for 5 %, none should
// start.
constexpr std::array kMemorySome = {Threshold{20, 10, ServiceLevel::Deferred},
                                    Threshold{10, 5, ServiceLevel::OneThread},
                                    Threshold{5, 2.5, ServiceLevel::FewerGames}};
constexpr std::array kMemoryFull = {Threshold{5, 2.5, ServiceLevel::Deferred}};

// An evaluation reads and writes little, and a checkpoint's fsync is the trainer's own doing: only
// a disk that holds up everything counts. From 60 % its report could not be written either.
constexpr std::array kIoFull = {Threshold{60, 30, ServiceLevel::Deferred},
                                Threshold{20, 10, ServiceLevel::FewerGames}};

// Tasks for each core beyond those of the trainer, of running evaluations and of an idle machine's
// cores: at 2, an evaluation gets a third of a core at best and games cost thrice their time. The
// CPU never defers: it only makes things slow, and the timeout holds.
constexpr std::array kLoad = {Threshold{4, 2, ServiceLevel::OneThread},
                              Threshold{2, 1, ServiceLevel::FewerGames}};
// Load counts tasks that wait for a disk too; without tasks that wait for a CPU it is not the
// CPU's.
constexpr double kCpuWaits = 20;  // percent

// What has to be left when the run has taken all that it may: for the trainer's next rollout, and
// for the page cache that keeps programs in memory.
constexpr Bytes kMemoryReserve = megabytes(256);
constexpr Bytes kMemoryReserveToReturn = megabytes(384);

// Less than this, and the kernel's own reserves are next.
constexpr Bytes kShortage = megabytes(64);
constexpr Bytes kShortageToReturn = megabytes(96);

void keep_worst(PressureVerdict& verdict, ServiceLevel level, std::string cause) {
  if (level > verdict.level) {
    verdict = {level, std::move(cause)};
  }
}

template <std::size_t N>
void weigh(PressureVerdict& verdict, std::optional<double> value,
           const std::array<Threshold, N>& thresholds, const char* text, Trend trend) {
  if (!value) {
    return;
  }
  for (const Threshold& threshold : thresholds) {  // the worst first
    if (*value >= threshold.of(trend)) {
      return keep_worst(verdict, threshold.level,
                        fmt::format("{} {:.1f}, from {:g}", text, *value, threshold.enter));
    }
  }
}

std::optional<double> load_beyond_training(const PressureSample& sample,
                                           const PressureDemand& demand) {
  if (!sample.load || sample.cpu_some.value_or(100) < kCpuWaits) {
    return std::nullopt;
  }
  const int expected = std::max(demand.cores, demand.trainer_threads) + demand.own_threads;
  return (*sample.load - expected) / std::max(1, demand.cores);
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool sensible = error == std::errc{} && std::isfinite(value) && value >= 0;
  return sensible ? std::optional(value) : std::nullopt;
}

/// What follows `name` on the line that begins with `line`.
std::optional<double> value_in(std::string_view text, std::string_view line,
                               std::string_view name) {
  while (!text.empty()) {
    std::string_view candidate = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(candidate.size() + 1, text.size()));
    const std::size_t at = candidate.find(name);
    if (candidate.starts_with(line) && at != std::string_view::npos) {
      candidate.remove_prefix(at + name.size());
      candidate.remove_prefix(std::min(candidate.find_first_not_of(' '), candidate.size()));
      return number(candidate);
    }
  }
  return std::nullopt;
}

std::optional<double> stalled(const std::string& text, std::string_view who) {
  const auto percent = value_in(text, who, "avg10=");
  return percent && *percent <= 100 ? percent : std::nullopt;
}

}  // namespace

std::string_view to_string(ServiceLevel level) {
  switch (level) {
    case ServiceLevel::Full:
      return "full";
    case ServiceLevel::FewerGames:
      return "fewer_games";
    case ServiceLevel::OneThread:
      return "one_thread";
    case ServiceLevel::Deferred:
      return "deferred";
    case ServiceLevel::Rejected:
      return "rejected";
  }
  return "";
}

PressureSample sample_pressure(const std::filesystem::path& proc) {
  const auto text = [&](const char* file) {
    return os::read_proc((proc / file).string()).value_or("");
  };
  const std::string memory = text("pressure/memory");
  PressureSample sample{.cpu_some = stalled(text("pressure/cpu"), "some "),
                        .memory_some = stalled(memory, "some "),
                        .memory_full = stalled(memory, "full "),
                        .io_full = stalled(text("pressure/io"), "full "),
                        .load = number(text("loadavg"))};
  constexpr double kHuge = 1e15;  // kB; beyond is no machine
  const auto kilobytes = value_in(text("meminfo"), "MemAvailable:", ":");
  if (kilobytes && *kilobytes < kHuge) {
    sample.available = Bytes{static_cast<std::int64_t>(*kilobytes) * 1024};
  }
  return sample;
}

PressureVerdict assess(const PressureSample& sample, const PressureDemand& demand, Trend trend) {
  PressureVerdict verdict = assess_shortage(sample, trend);
  const Bytes reserve = trend == Trend::Rising ? kMemoryReserve : kMemoryReserveToReturn;
  if (sample.available && *sample.available < demand.memory + reserve) {
    keep_worst(verdict, ServiceLevel::Deferred,
               fmt::format("{} of memory available, {} needed: its limit of {} and a reserve",
                           to_string(*sample.available), to_string(demand.memory + kMemoryReserve),
                           to_string(demand.memory)));
  }
  weigh(verdict, sample.memory_full, kMemoryFull, "percent of time all wait for memory:", trend);
  weigh(verdict, sample.memory_some, kMemorySome, "percent of time some wait for memory:", trend);
  weigh(verdict, sample.io_full, kIoFull, "percent of time all wait for the disk:", trend);
  weigh(verdict, load_beyond_training(sample, demand), kLoad,
        "tasks a core beyond the training's:", trend);
  return verdict;
}

PressureVerdict assess_shortage(const PressureSample& sample, Trend trend) {
  const Bytes least = trend == Trend::Rising ? kShortage : kShortageToReturn;
  if (sample.available && *sample.available < least) {
    return {ServiceLevel::Deferred,
            fmt::format("only {} of memory available on this machine, from {} on it waits",
                        to_string(*sample.available), to_string(kShortage))};
  }
  return {};
}

PressureVerdict PressureJudge::judge(const PressureVerdict& rising, const PressureVerdict& falling,
                                     MonotonicTime now) {
  if (!last_ || now - *last_ >= kStale) {
    held_ = {};
    calm_since_.reset();
  }
  last_ = now;
  if (rising.level >= held_.level) {
    calm_since_.reset();
    held_ = rising;
  } else if (falling.level >= held_.level) {
    calm_since_.reset();  // between the thresholds: as it was
    held_.cause = falling.cause;
  } else {
    calm_since_ = calm_since_.value_or(now);
    if (now - *calm_since_ >= kCalm) {
      held_ = rising.level >= falling.level ? rising : falling;
      calm_since_.reset();
    }
  }
  return held_;
}

}  // namespace keisei::guard
