#include "guard/heartbeat.h"

#include <algorithm>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using telemetry::Phase;

constexpr nanoseconds kShortest = 1500ms;  // above any ordinary hiccup of a busy machine
constexpr int kOrdinary = 20;              // times the longest gap
constexpr nanoseconds kLongPhase = 60s;    // a checkpoint on a slow disk; a training not yet known
constexpr int kSurvived = 2;               // times the longest silence that was no hang
constexpr nanoseconds kLongestLook = 500ms;  // of one observation's share in a silence
constexpr int kWholeCycle = 3;               // into an update, out of it, into the next

}  // namespace

nanoseconds HeartbeatJudge::limit() const {
  const nanoseconds survived = std::min<nanoseconds>(kSurvived * longest_survived_, kLongPhase);
  const nanoseconds learned =
      std::max<nanoseconds>({kShortest, kOrdinary * longest_gap_, survived});
  const bool long_phase = last_ && last_->phase == Phase::Checkpoint;
  return turns_ < kWholeCycle || long_phase ? std::max(kLongPhase, learned) : learned;
}

void HeartbeatJudge::learn(const telemetry::StepClockReading& reading) {
  // A gap that was judged a hang, or belongs to a long phase, is not what is ordinary: twenty times
  // that would let a real hang pass for an hour.
  const bool ordinary_limit = last_->phase != Phase::Checkpoint && turns_ >= kWholeCycle;
  if (state_ == State::Silent && ordinary_limit) {
    longest_survived_ = std::max(longest_survived_, silence_);
  }
  if (state_ == State::Beating && last_->phase != Phase::Checkpoint &&
      last_->phase != Phase::Idle) {
    longest_gap_ = std::max(longest_gap_, silence_);
  }
  turns_ += (last_->phase == Phase::Update) != (reading.phase == Phase::Update) ? 1 : 0;
}

HeartbeatJudge::State HeartbeatJudge::observe(const telemetry::StepClockReading& reading,
                                              MonotonicTime now) {
  if (reading.ticks == 0) {
    return state_;
  }
  if (!last_ || reading.ticks != last_->ticks) {
    if (last_) {
      learn(reading);
    }
    silence_ = nanoseconds(0);
    state_ = State::Beating;
  } else {
    silence_ += std::clamp<nanoseconds>(now - looked_, nanoseconds(0), kLongestLook);
    if (reading.phase != Phase::Idle && silence_ > limit()) {
      state_ = State::Silent;
    }
  }
  last_ = reading;
  looked_ = now;
  return state_;
}

}  // namespace keisei::guard
