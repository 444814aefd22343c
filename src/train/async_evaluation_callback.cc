#include "train/async_evaluation_callback.h"

#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "net/snapshot.h"
#include "train/schedule.h"

namespace keisei::train {

AsyncEvaluationCallback::AsyncEvaluationCallback(telemetry::ChannelSender& channel,
                                                 std::int64_t interval)
    : channel_(channel), interval_(interval) {
  KEISEI_CHECK(interval >= 1, "an evaluation every {} steps", interval);
}

void AsyncEvaluationCallback::on_step_end(const TrainingProgress& progress) {
  if (!crosses_multiple(progress.previous_step, progress.step, interval_)) {
    return;
  }
  ++sequence_;
  const MonotonicTime begin = MonotonicClock::now();
  Result<UniqueFd> snapshot =
      net::seal_weights(progress.spec, static_cast<std::uint64_t>(progress.step), progress.weights);
  if (!snapshot) {
    ++skipped_;
    failure_ = std::move(snapshot).error();
    return;
  }
  const telemetry::SnapshotNotice notice{.step = progress.step,
                                         .sequence = sequence_,
                                         .seal_ms = milliseconds(MonotonicClock::now() - begin)};
  const bool sent = channel_.send_notice(notice, snapshot->get()) == telemetry::NoticeOutcome::Sent;
  sent ? ++sent_ : ++skipped_;
}

}  // namespace keisei::train
