#include "guard/admission.h"

#include <fmt/format.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iterator>
#include <list>
#include <optional>
#include <utility>
#include <variant>

#include "guard/slot_directory.h"

namespace keisei::guard {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kPoll(20);  // for what other processes give back
constexpr std::chrono::milliseconds kKnock(2);  // while another process draws its number

/// One who is not admitted yet, in the order of arrival.
struct Waiter {
  explicit Waiter(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool queued = false;                // it was told that it may wait
  std::optional<QueueTicket> ticket;  // with a directory: its place among all processes
};

/// What a look at the queue comes to.
struct Wait {
  std::chrono::nanoseconds time;
};
struct Refused {
  Outcome outcome;
  std::string cause;
};
using Turn = std::variant<UniqueFd, Wait, Refused>;  // the slot (none without a directory), or not

}  // namespace

namespace detail {

struct AdmissionState {
  Admission::Options options;
  std::optional<SlotDirectory> slots;
  int running = 0;
  int threads = 0;  // of those
  std::list<Waiter> waiting;

  Turn look(std::list<Waiter>::iterator waiter, const Gate& gate);

 private:
  Turn look_here(Waiter& waiter, const Gate& gate);
  Turn look_in_directory(Waiter& waiter, const Gate& gate);
  Turn knock(std::list<Waiter>::iterator waiter, const Gate& gate);
  Turn take_place(Waiter& waiter, SlotDirectory::Entry entry, const GateAnswer& answer) const;
  [[nodiscard]] Refused full(int waiting, const GateAnswer& answer) const;
};

Refused AdmissionState::full(int others, const GateAnswer& answer) const {
  if (answer.go == Go::Later) {
    return {Outcome::Rejected, fmt::format("{}, and {} wait already", answer.cause, others)};
  }
  return {Outcome::Rejected,
          fmt::format("{} runs are going and {} wait already", options.max_concurrent, others)};
}

Turn AdmissionState::look(std::list<Waiter>::iterator waiter, const Gate& gate) {
  if (!slots) {
    return look_here(*waiter, gate);
  }
  return waiter->ticket ? look_in_directory(*waiter, gate) : knock(waiter, gate);
}

Turn AdmissionState::look_here(Waiter& waiter, const Gate& gate) {
  GateAnswer answer;
  if (&waiter == &waiting.front() && running < options.max_concurrent) {
    answer = gate ? gate() : GateAnswer{};
    if (answer.go == Go::Now) {
      return UniqueFd();
    }
    if (answer.go == Go::Never) {
      return Refused{Outcome::Rejected, answer.cause};
    }
  }
  const int others = static_cast<int>(waiting.size()) - 1;
  if (!waiter.queued && others >= options.queue) {
    return full(others, answer);
  }
  waiter.queued = true;
  return Wait{answer.ask_again};
}

Turn AdmissionState::knock(std::list<Waiter>::iterator waiter, const Gate& gate) {
  if (waiter != waiting.begin() && !std::prev(waiter)->ticket) {
    return Wait{kKnock};  // whoever came first draws first
  }
  const GateAnswer answer = gate ? gate() : GateAnswer{};
  if (answer.go == Go::Never) {
    return Refused{Outcome::Rejected, answer.cause};
  }
  const auto want =
      answer.go == Go::Now ? SlotDirectory::Want::SlotOrTicket : SlotDirectory::Want::Ticket;
  Result<SlotDirectory::Entry> entry = slots->enter(want, options.queue);
  if (!entry) {
    return Refused{Outcome::StartFailed, entry.error().message};
  }
  return take_place(*waiter, std::move(*entry), answer);
}

Turn AdmissionState::take_place(Waiter& waiter, SlotDirectory::Entry entry,
                                const GateAnswer& answer) const {
  if (auto* slot = std::get_if<UniqueFd>(&entry)) {
    return std::move(*slot);
  }
  if (auto* ticket = std::get_if<QueueTicket>(&entry)) {
    waiter.ticket.emplace(std::move(*ticket));
    return Wait{kPoll};
  }
  if (const auto* queue = std::get_if<SlotDirectory::Full>(&entry)) {
    return full(queue->waiting, answer);
  }
  return Wait{kKnock};
}

Turn AdmissionState::look_in_directory(Waiter& waiter, const Gate& gate) {
  const Result<bool> first = waiter.ticket->first();
  if (!first) {
    return Refused{Outcome::StartFailed, first.error().message};
  }
  if (!*first) {
    return Wait{kPoll};
  }
  Result<std::optional<UniqueFd>> slot = slots->take_slot();
  if (!slot) {
    return Refused{Outcome::StartFailed, slot.error().message};
  }
  if (!*slot) {
    return Wait{kPoll};
  }
  const GateAnswer answer = gate ? gate() : GateAnswer{};
  switch (answer.go) {
    case Go::Now:
      return std::move(**slot);
    case Go::Later:
      break;  // the slot is free meanwhile, and nobody comes before this one
    case Go::Never:
      return Refused{Outcome::Rejected, answer.cause};
  }
  return Wait{answer.ask_again};
}

}  // namespace detail

namespace {

/// Stands in the queue; leaves it when the wait ends in whatever way.
class Place {
 public:
  Place(detail::AdmissionState& state, const asio::any_io_executor& executor)
      : state_(state), waiter_(state.waiting.emplace(state.waiting.end(), executor)) {}
  ~Place() {
    state_.waiting.erase(waiter_);
    if (!state_.waiting.empty()) {
      state_.waiting.front().timer.cancel();  // the next one is first now
    }
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  [[nodiscard]] Turn look(const Gate& gate) { return state_.look(waiter_, gate); }
  [[nodiscard]] asio::steady_timer& timer() { return waiter_->timer; }

 private:
  detail::AdmissionState& state_;
  std::list<Waiter>::iterator waiter_;
};

}  // namespace

Permit::Permit(std::shared_ptr<detail::AdmissionState> state, UniqueFd slot)
    : state_(std::move(state)), slot_(std::move(slot)) {
  ++state_->running;
}

Permit& Permit::operator=(Permit&& other) noexcept {
  if (this != &other) {
    give_back();
    state_ = std::move(other.state_);
    slot_ = std::move(other.slot_);
    threads_ = std::exchange(other.threads_, 0);
  }
  return *this;
}

Permit::~Permit() { give_back(); }

void Permit::compute_with(int threads) {
  state_->threads += threads - threads_;
  threads_ = threads;
}

void Permit::give_back() {
  slot_.reset();
  if (state_) {
    --state_->running;
    state_->threads -= std::exchange(threads_, 0);
    if (!state_->waiting.empty()) {
      state_->waiting.front().timer.cancel();
    }
    state_.reset();
  }
}

Admission::Admission(asio::any_io_executor executor, Options options)
    : executor_(std::move(executor)), state_(std::make_shared<detail::AdmissionState>()) {
  if (!options.directory.empty()) {
    state_->slots.emplace(options.directory, options.max_concurrent);
  }
  state_->options = std::move(options);
}

asio::awaitable<Admittance> Admission::admit(RunControl& control, Gate gate) {
  const std::shared_ptr<detail::AdmissionState> state = state_;
  Place place(*state, executor_);
  while (true) {
    if (const auto& cancel = control.cancel_request()) {
      co_return Admittance{.permit = {}, .refusal = cancel->reason, .cause = cancel->cause};
    }
    Turn turn = place.look(gate);
    if (auto* slot = std::get_if<UniqueFd>(&turn)) {
      co_return Admittance{.permit = Permit(state, std::move(*slot)), .refusal = {}, .cause = {}};
    }
    if (auto* refused = std::get_if<Refused>(&turn)) {
      co_return Admittance{
          .permit = {}, .refusal = refused->outcome, .cause = std::move(refused->cause)};
    }
    boost::system::error_code ignored;  // a cancelled wait is a reason to look again
    place.timer().expires_after(std::get<Wait>(turn).time);
    co_await place.timer().async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

int Admission::running() const { return state_->running; }

int Admission::threads() const { return state_->threads; }

int Admission::queued() const { return static_cast<int>(state_->waiting.size()); }

}  // namespace keisei::guard
