#include "guard/tree_share.h"

#include "os/session_weight.h"

namespace keisei::guard {
namespace {

class Brake final : public TreeBrake {
 public:
  Brake(RunCgroup& cgroup, os::Jail& jail) : cgroup_(cgroup), jail_(jail) {}
  bool freeze() override { return cgroup_.freeze(); }
  bool thaw() override { return cgroup_.thaw(); }
  bool signal(int number) override { return jail_.signal_tree(number); }
  bool let_run(std::chrono::nanoseconds lease) override { return jail_.let_tree_run(lease); }

 private:
  RunCgroup& cgroup_;
  os::Jail& jail_;
};

}  // namespace

void TreeShare::specify(os::JailSpec& spec) {
  if (spec.slack == 0) {
    return;
  }
  const bool weighs = !cgroup_.is_idle() && os::sessions_have_weights();
  if (!weighs) {
    spec.without |= os::mechanism::kIdleSession;  // it could be set, and would count for nothing
  }
  weight_.begin(weighs && command_.session == Session::Own ? TreeWeight::Start::Low
                                                           : TreeWeight::Start::LowClass);
}

bool TreeShare::can_slack() const {
  const bool weighed =
      cgroup_.can_weigh() || (command_.session == Session::Own && os::sessions_have_weights());
  return weighed && command_.scheduling == Scheduling::Burst;
}

void TreeShare::apply(os::Jail& jail, const std::vector<pid_t>& members, double cpu_seconds,
                      MonotonicTime now) {
  if (cpu_limit_) {
    cpu_allows_ = cpu_limit_->may_run(now, cpu_seconds);
  }
  Brake brake(cgroup_, jail);
  pace_.apply(!cpu_allows_ || training_allows_ == Pace::Stop, brake, now, cpu_seconds);
  if (!can_slack()) {
    return;
  }
  const bool low = training_allows_ == Pace::Slack;
  if (cgroup_.can_weigh()) {
    cgroup_.set_idle(low);
  } else {
    weight_.set(low, members, now);
  }
}

bool TreeShare::may_stop_to_count(const os::Jail& jail) const {
  return !user_stopped_ && command_.session == Session::Own &&
         jail.containment() != os::Containment::Sweep;
}

bool TreeShare::stop_to_count(os::Jail& jail) const {
  Brake brake(cgroup_, jail);
  return may_stop_to_count(jail) && pace_.stop_to_count(brake);
}

void TreeShare::go_on(os::Jail& jail, std::chrono::nanoseconds lease) {
  if (may_stop_to_count(jail)) {
    Brake brake(cgroup_, jail);
    pace_.go_on(brake, lease);
  }
}

void TreeShare::end_lease(os::Jail& jail) {
  Brake brake(cgroup_, jail);
  pace_.end_lease(brake);
}

void TreeShare::go_on_at_last(os::Jail& jail) {
  Brake brake(cgroup_, jail);
  pace_.go_on_at_last(brake);
}

void TreeShare::stop_again(os::Jail& jail) const {
  Brake brake(cgroup_, jail);
  pace_.stop_again(brake);
}

}  // namespace keisei::guard
