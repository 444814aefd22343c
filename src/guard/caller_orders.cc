#include "guard/caller_orders.h"

#include <signal.h>

namespace keisei::guard {
namespace {

void carry_out(const RunControl::Order& order, os::Jail& jail) {
  switch (order.kind) {
    case RunControl::Order::Kind::SignalMain:
      return jail.signal_main(order.signal);
    case RunControl::Order::Kind::SignalGroup:
      return jail.signal_group(order.signal);
    case RunControl::Order::Kind::GiveTerminal:
      return jail.give_terminal();
  }
}

bool stops(const RunControl::Order& order) {
  return order.signal == SIGTSTP || order.signal == SIGSTOP || order.signal == SIGTTIN ||
         order.signal == SIGTTOU;
}

}  // namespace

void carry_out_orders(RunControl& control, os::Jail& jail, TreeShare& share) {
  for (const RunControl::Order& order : control.take_orders()) {
    if (stops(order)) {
      share.end_lease(jail);
    }
    carry_out(order, jail);
    if (stops(order) || order.signal == SIGCONT) {
      share.note_user_stop(order.signal != SIGCONT);
    }
    if (share.stopped() && stops(order)) {
      control.note_stopped(order.signal);  // it stands still already, and cannot tell
    }
    if (share.stopped() && order.signal == SIGCONT) {
      share.stop_again(jail);  // it may go on for its user, but not for the training
    }
  }
}

}  // namespace keisei::guard
