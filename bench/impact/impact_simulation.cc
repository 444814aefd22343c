// Whether the estimator of training impact keeps its word, on trainings whose true loss is known.
//
//   impact_simulation [--runs N] [--threads N]      exit 3: a bound, a certificate or a bias is off
//
// A run: a training of 10 ms steps beside an evaluation that asks without a pause, in frames of
// 200 ms (longer beside the long steps of an uneven one), looked at after each block, 400 s of it.
// A cell: 1,000 runs of one kind of training. Per cell
//   missed   runs in which the bound was below the true loss at any look; 5 % may be
//   false    runs that were certified to be below 5 % at a look at which 5 % or more were lost;
//            5 % may be («certified» counts a bursty training also while it has lost less)
//            (the summary counts too in how many the lower bound was above the true loss)
//   bias     mean of the final estimate minus the true loss, in percentage points; 1 may be
// Counts are held against 5 % by a binomial test at 1 % over all cells together (Bonferroni).
#include <fmt/format.h>

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "guard/frame_timing.h"
#include "guard/training_impact.h"

namespace keisei::guard {
namespace {

constexpr double kStep = 0.010;   // seconds
constexpr double kFrame = 0.200;  // seconds
constexpr double kRun = 400;      // seconds
constexpr double kLimit = 0.05;
constexpr double kAlpha = 0.05;
constexpr double kRounding = 1e-9;  // of a sum of losses
constexpr double kLevel = 0.01;     // of the tests, over all cells
constexpr double kMostBias = 0.01;
const double kSwingKept = std::exp(-kStep / 3);  // from step to step
constexpr int kNaiveRuns = 200;                  // enough to see them fail

enum class Period { None, Labelled, Unlabelled };

struct Cell {
  double cv = 0.05;              // of a step's time
  double autocorrelation = 0;    // of successive steps
  double drift = 0;              // of the rate over the whole run
  Period period = Period::None;  // of two frames exactly, one 22 % slower than the other
  double loss = 0;
  bool bursty = false;  // the loss comes in a tenth of the on-frames, the whole of it there
  double swing = 0;     // of the whole machine's speed, for some 3 s
  /// 4 s of rollout, then 4 s of update with steps ten times as long: all is lost there.
  bool uneven = false;
};

/// Step times of a training, on its own clock.
class Training {
 public:
  Training(const Cell& cell, std::uint64_t seed) : cell_(cell), random_(seed) {
    noise_ = normal_(random_);
    swing_ = cell.swing > 0 ? normal_(random_) : 0;
  }

  /// Steps until a slot has passed at least, slowed down by `loss`.
  telemetry::FrameRecord run(double loss) {
    telemetry::FrameRecord frame{.ticks = std::vector<std::int64_t>(telemetry::kPhases),
                                 .units = std::vector<std::int64_t>(telemetry::kPhases),
                                 .time_ns = std::vector<std::int64_t>(telemetry::kPhases)};
    double length = 0;
    const bool slow = cell_.period != Period::None && ++frames_ % 2 == 1;
    int steps = 0;
    while (length < slot_) {
      const double took = step(slow) / (1 - loss);
      const bool update = updates() || (slow && cell_.period == Period::Labelled);
      const auto phase = static_cast<std::size_t>(update ? telemetry::Phase::Update
                                                         : telemetry::Phase::RolloutEnvironment);
      ++steps;
      frame.ticks[phase] += 1;
      frame.time_ns[phase] += std::llround(took * 1e9);
      length += took;
      now_ += took;
    }
    if (loss == 0) {
      timing_.learn(length / steps);
    }
    frame.planned_ns = std::llround(slot_ * 1e9);
    frame.measured_ns = std::llround(length * 1e9);
    frame.begin_ns = end_;
    end_ += frame.measured_ns;
    frame.end_ns = end_;
    return frame;
  }

  [[nodiscard]] double now() const { return now_; }
  /// As the controller does it: for all slots of a block.
  void plan_slots() { slot_ = timing_.frame_s(); }
  [[nodiscard]] bool updates() const { return cell_.uneven && std::fmod(now_, 8) >= 4; }
  std::mt19937_64& random() { return random_; }

 private:
  double step(bool slow) {
    const double rho = cell_.autocorrelation;
    noise_ = rho * noise_ + std::sqrt(1 - rho * rho) * normal_(random_);
    const double sigma = std::sqrt(std::log1p(cell_.cv * cell_.cv));  // log-normal, mean 1
    if (cell_.swing > 0) {
      swing_ = kSwingKept * swing_ + std::sqrt(1 - kSwingKept * kSwingKept) * normal_(random_);
    }
    const double trend = 1 + cell_.drift * now_ / kRun;
    const double phase = cell_.period == Period::None ? 1 : slow ? 1.1 : 0.9;
    return (updates() ? 10 : 1) * kStep * trend * phase *
           std::exp(sigma * noise_ - sigma * sigma / 2 - cell_.swing * swing_);
  }

  Cell cell_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  double noise_ = 0;
  double swing_ = 0;
  int frames_ = 0;
  FrameTiming timing_;
  double slot_ = kFrame;
  double now_ = 0;
  std::int64_t end_ = 0;
};

struct RunResult {
  bool missed = false;
  bool falsely_certified = false;
  bool overcharged = false;  // the lower bound was above what was lost
  double estimate = 0;
  double truth = 0;
  double certified_after = -1;  // seconds of evaluation activity; negative: never
  // What the naive methods make of the same training: their errors.
  double before_after = 0;
  double alternating = 0;
  bool repeated_missed = false;
};

double rate_of(const telemetry::FrameRecord& frame) {
  std::int64_t ticks = 0;
  for (const std::int64_t count : frame.ticks) {
    ticks += count;
  }
  return static_cast<double>(ticks) / (static_cast<double>(frame.measured_ns) * 1e-9);
}

/// What the next on-frame loses.
class Loss {
 public:
  explicit Loss(const Cell& cell) : cell_(cell) {}
  double next(const Training& training, std::mt19937_64& random) const {
    if (cell_.uneven) {
      return training.updates() ? 2 * cell_.loss : 0;
    }
    if (!cell_.bursty) {
      return cell_.loss;
    }
    return std::uniform_real_distribution(0.0, 1.0)(random) < 0.1 ? 10 * cell_.loss : 0;
  }

 private:
  Cell cell_;
};

RunResult run_design(const Cell& cell, std::uint64_t seed) {
  Training training(cell, seed);
  Loss loss(cell);
  TrainingImpact impact({.limit = kLimit, .alpha = kAlpha});
  RunResult result;
  for (int i = 0; i < 40; ++i) {  // before the first evaluation
    telemetry::FrameRecord frame = training.run(0);
    frame.setting = setting::kFree;
    impact.add(frame);
  }
  const double begun = training.now();
  double lost = 0;  // seconds
  double ran = 0;
  for (std::int64_t block = 1; training.now() < kRun; ++block) {
    const BlockPlan plan = impact.plan();
    if (cell.uneven) {
      training.plan_slots();
    }
    const int hold_out = std::uniform_int_distribution(1, plan.slots)(training.random());
    for (int slot = 1; slot <= plan.slots; ++slot) {
      const bool on = slot != hold_out;
      const double now_lost = on ? loss.next(training, training.random()) : 0;
      telemetry::FrameRecord frame = training.run(now_lost);
      frame.setting = on ? setting::kOn : setting::kOff;
      frame.running = on;
      frame.block = block;
      frame.slot = slot;
      frame.slots = plan.slots;
      frame.cap = plan.cap;
      impact.add(frame);
      const double length = static_cast<double>(frame.measured_ns) * 1e-9;
      lost += now_lost * length;
      ran += on ? length : 0;
    }
    const double upper = impact.upper_while_running();
    result.missed |= upper < lost / ran - kRounding;
    result.falsely_certified |= upper < kLimit && lost / ran >= kLimit - kRounding;
    result.overcharged |= impact.while_running().lower > lost / ran + kRounding;
    if (result.certified_after < 0 && upper < kLimit) {
      result.certified_after = training.now() - begun;
    }
  }
  result.estimate = impact.estimate().while_running.estimate;
  result.truth = lost / ran;
  return result;
}

/// Half of the run without, half with the evaluation.
double before_after(const Cell& cell, std::uint64_t seed) {
  Training training(cell, seed);
  double off = 0;
  double on = 0;
  int offs = 0;
  int ons = 0;
  while (training.now() < kRun) {
    const bool running = training.now() >= kRun / 2;
    (running ? on : off) += rate_of(training.run(running ? cell.loss : 0));
    ++(running ? ons : offs);
  }
  return 1 - (on / ons) / (off / offs);
}

/// On, off, on, off.
double alternating(const Cell& cell, std::uint64_t seed) {
  Training training(cell, seed);
  double logs = 0;
  int pairs = 0;
  while (training.now() < kRun) {
    const double on = rate_of(training.run(cell.loss));
    const double off = rate_of(training.run(0));
    logs += std::log(on / off);
    ++pairs;
  }
  return 1 - std::exp(logs / pairs);
}

/// Pairs in random order; a one-sided 95 % t interval, looked at after each pair.
bool repeated_interval_misses(const Cell& cell, std::uint64_t seed,
                              const std::vector<double>& quantiles) {
  Training training(cell, seed);
  double sum = 0;
  double squares = 0;
  int pairs = 0;
  while (training.now() < kRun) {
    const bool on_first = std::uniform_int_distribution(0, 1)(training.random()) == 1;
    const double first = rate_of(training.run(on_first ? cell.loss : 0));
    const double second = rate_of(training.run(on_first ? 0 : cell.loss));
    const double ratio = std::log(on_first ? first / second : second / first);
    sum += ratio;
    squares += ratio * ratio;
    ++pairs;
    if (pairs >= 6) {
      const double mean = sum / pairs;
      const double variance = std::max(0.0, squares / pairs - mean * mean) * pairs / (pairs - 1);
      const double low =
          mean - quantiles[static_cast<std::size_t>(pairs)] * std::sqrt(variance / pairs);
      if (1 - std::exp(low) < cell.loss) {
        return true;
      }
    }
  }
  return false;
}

struct CellResult {
  int missed = 0;
  int falsely_certified = 0;
  int overcharged = 0;
  double bias = 0;
  double before_after_bias = 0;
  double alternating_bias = 0;
  int repeated_missed = 0;
  std::vector<double> certified;
};

class Simulation {
 public:
  Simulation(int runs, int threads) : runs_(runs), threads_(threads) {
    quantiles_.resize(3000);
    for (std::size_t pairs = 3; pairs < quantiles_.size(); ++pairs) {
      const boost::math::students_t distribution(static_cast<double>(pairs) - 1);
      quantiles_[pairs] = boost::math::quantile(distribution, 1 - kAlpha);
    }
  }

  CellResult run(const Cell& cell, std::uint64_t number, bool naive) const {
    CellResult all;
    std::mutex mutex;
    std::vector<std::jthread> workers;
    for (int worker = 0; worker < threads_; ++worker) {
      workers.emplace_back([&, worker] {
        for (int i = worker; i < runs_; i += threads_) {
          const std::uint64_t seed = number * 1'000'003 + static_cast<std::uint64_t>(i);
          RunResult result = run_design(cell, seed);
          if (naive && i < kNaiveRuns) {
            result.before_after = before_after(cell, seed) - cell.loss;
            result.alternating = alternating(cell, seed) - cell.loss;
            result.repeated_missed = repeated_interval_misses(cell, seed, quantiles_);
          }
          const std::scoped_lock lock(mutex);
          all.missed += result.missed ? 1 : 0;
          all.falsely_certified += result.falsely_certified ? 1 : 0;
          all.overcharged += result.overcharged ? 1 : 0;
          all.bias += (result.estimate - result.truth) / runs_;
          const int naive_runs = std::min(runs_, kNaiveRuns);
          all.before_after_bias += result.before_after / naive_runs;
          all.alternating_bias += result.alternating / naive_runs;
          all.repeated_missed += result.repeated_missed ? 1 : 0;
          if (result.certified_after >= 0) {
            all.certified.push_back(result.certified_after);
          }
        }
      });
    }
    workers.clear();
    std::ranges::sort(all.certified);
    return all;
  }

  /// Whether so many misses are too many for 5 %, at 1 % over all `cells`.
  [[nodiscard]] bool too_many(int missed, std::size_t cells) const {
    const boost::math::binomial_distribution<> distribution(runs_, kAlpha);
    const double p = missed == 0 ? 1 : 1 - boost::math::cdf(distribution, missed - 1);
    return p < kLevel / static_cast<double>(cells);
  }

 private:
  int runs_;
  int threads_;
  std::vector<double> quantiles_;
};

std::string_view name_of(Period period) {
  switch (period) {
    case Period::None:
      return "-";
    case Period::Labelled:
      return "labelled";
    case Period::Unlabelled:
      return "unlabelled";
  }
  return "";
}

std::vector<Cell> cells() {
  std::vector<Cell> cells;
  for (const double loss : {0.0, 0.02, 0.05}) {
    for (const double cv : {0.02, 0.05, 0.10, 0.20}) {
      for (const double autocorrelation : {0.0, 0.5, 0.9}) {
        for (const double drift : {0.0, 0.10}) {
          cells.push_back(
              {.cv = cv, .autocorrelation = autocorrelation, .drift = drift, .loss = loss});
        }
      }
    }
    for (const Period period : {Period::Labelled, Period::Unlabelled}) {
      cells.push_back(
          {.cv = 0.05, .autocorrelation = 0.5, .drift = 0.10, .period = period, .loss = loss});
    }
    if (loss > 0) {
      cells.push_back(
          {.cv = 0.05, .autocorrelation = 0.5, .drift = 0.10, .loss = loss, .bursty = true});
    }
    cells.push_back({.cv = 0.05, .autocorrelation = 0.5, .loss = loss, .swing = 0.25});
  }
  for (const double loss : {0.0, 0.02, 0.05}) {
    cells.push_back({.cv = 0.05, .autocorrelation = 0.5, .loss = loss, .uneven = true});
  }
  return cells;
}

std::string certified_text(const CellResult& result, int runs) {
  const auto count = static_cast<double>(result.certified.size());
  if (count < 0.9 * runs) {
    return fmt::format("{:>11.0f} %", 100 * count / runs);
  }
  return fmt::format("{:>5.0f} {:>5.0f} s", result.certified[static_cast<std::size_t>(0.5 * runs)],
                     result.certified[static_cast<std::size_t>(0.9 * runs) - 1]);
}

int simulate(int runs, int threads) {
  const Simulation simulation(runs, threads);
  const std::vector<Cell> all = cells();
  fmt::print("{} runs per cell; «certified»: median and 9 in 10, or how many ever were\n", runs);
  fmt::print(
      "loss   cv  corr drift  period      | missed  false   bias  certified     | before/after  "
      "ABAB    "
      "repeated interval\n");
  bool failed = false;
  int missed = 0;
  int falsely_certified = 0;
  int overcharged = 0;
  double worst_bias = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Cell& cell = all[i];
    const CellResult result = simulation.run(cell, i, !cell.bursty && !cell.uneven);
    const bool wrong = simulation.too_many(result.missed, all.size()) ||
                       simulation.too_many(result.overcharged, all.size()) ||
                       simulation.too_many(result.falsely_certified, all.size()) ||
                       std::abs(result.bias) > kMostBias;
    failed |= wrong;
    missed += result.missed;
    falsely_certified += result.falsely_certified;
    overcharged += result.overcharged;
    worst_bias = std::max(worst_bias, std::abs(result.bias));
    fmt::print(
        "{:>3.0f} % {:>3.0f} % {:>4.1f} {:>3.0f} %  {:<11} | {:>5.1f} % {:>4.1f} % {:>6.2f} {} | "
        "{:>9.2f} "
        "{:>8.2f} "
        "{:>8.1f} % missed{}\n",
        100 * cell.loss, 100 * cell.cv, cell.autocorrelation, 100 * cell.drift,
        cell.bursty      ? "bursty"
        : cell.uneven    ? "uneven"
        : cell.swing > 0 ? "swings"
                         : name_of(cell.period),
        100.0 * result.missed / runs, 100.0 * result.falsely_certified / runs, 100 * result.bias,
        certified_text(result, runs), 100 * result.before_after_bias, 100 * result.alternating_bias,
        100.0 * result.repeated_missed / std::min(runs, kNaiveRuns), wrong ? "  WRONG" : "");
    std::fflush(stdout);
  }
  const double all_runs = static_cast<double>(runs) * static_cast<double>(all.size());
  fmt::print(
      "{} cells: {:.2f} % of all runs missed, {:.2f} % falsely certified, {:.2f} % below the lower "
      "bound, worst bias {:.2f} points: {}\n",
      all.size(), 100.0 * missed / all_runs, 100.0 * falsely_certified / all_runs,
      100.0 * overcharged / all_runs, 100 * worst_bias, failed ? "NOT kept" : "kept");
  return failed ? 3 : 0;
}

}  // namespace
}  // namespace keisei::guard

int main(int argc, char** argv) {
  int runs = 1000;
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  for (int i = 1; i + 1 < argc; i += 2) {
    (std::string_view(argv[i]) == "--runs" ? runs : threads) = std::max(1, std::atoi(argv[i + 1]));
  }
  return keisei::guard::simulate(runs, threads);
}
