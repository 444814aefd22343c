#include "guard/frame_timing.h"

#include <algorithm>
#include <cmath>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using telemetry::Phase;

constexpr double kLongestFrame = 2.5;  // seconds; with its switches, within the bucket's capacity
constexpr double kStepsPerFrame = 20;
constexpr double kShortestWashout = 0.05;  // seconds after a switch
constexpr auto kNoProgress = 2s;           // without a tick a stretch ends so long after its time
constexpr double kSilentFrames = 4;        // or so many steps
constexpr auto kShortestSilence = 250ms;   // ten slices of the scheduler
constexpr double kSilentSteps = 10;
constexpr double kLearn = 0.1;  // weight of the newest frame

nanoseconds from_seconds(double time) { return nanoseconds(std::llround(time * 1e9)); }

}  // namespace

void FrameTiming::learn(double step_s) {
  step_s_ = step_s_ > 0 ? step_s_ + kLearn * (step_s - step_s_) : step_s;
}

double FrameTiming::frame_s() const {
  const double most = std::max(kShortestFrame, kLongestFrame - 2 * washout_s());
  return std::clamp(kStepsPerFrame * step_s_, kShortestFrame, most);
}

double FrameTiming::washout_s() const { return std::max(kShortestWashout, step_s_); }

nanoseconds FrameTiming::patience_while_running() const {
  return std::max<nanoseconds>(kNoProgress, from_seconds(kSilentFrames * step_s_));
}

nanoseconds FrameTiming::silence_limit(Phase phase) const {
  if (phase == Phase::Checkpoint || phase == Phase::Idle) {
    return 60s;
  }
  return std::max<nanoseconds>(kShortestSilence, from_seconds(kSilentSteps * step_s_));
}

nanoseconds FrameTiming::between_looks() const {
  return std::clamp<nanoseconds>(from_seconds(step_s_), 5ms, 100ms);
}

}  // namespace keisei::guard
