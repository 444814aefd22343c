#include "guard/admission.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <list>
#include <optional>
#include <system_error>

namespace keisei::guard {

namespace asio = boost::asio;

namespace detail {

struct AdmissionState {
  Admission::Options options;
  int running = 0;
  std::list<asio::steady_timer> waiting;  // in the order of arrival

  /// A locked slot of the directory; nothing where all are taken.
  Result<std::optional<UniqueFd>> lock_slot() const;
  Result<std::optional<UniqueFd>> try_take();
};

Result<std::optional<UniqueFd>> AdmissionState::lock_slot() const {
  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  for (int i = 0; i < options.max_concurrent; ++i) {
    const std::filesystem::path path = options.directory / fmt::format("slot-{}.lock", i);
    UniqueFd file(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!file) {
      return fail_errno(fmt::format("opening the slot file {}", path.string()));
    }
    if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
      return std::optional(std::move(file));
    }
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return fail_errno(fmt::format("locking the slot file {}", path.string()));
    }
  }
  return std::optional<UniqueFd>();
}

Result<std::optional<UniqueFd>> AdmissionState::try_take() {
  if (running >= options.max_concurrent) {
    return std::optional<UniqueFd>();
  }
  if (options.directory.empty()) {
    return std::optional(UniqueFd());
  }
  return lock_slot();
}

}  // namespace detail

namespace {

constexpr std::chrono::milliseconds kPoll(20);

/// Stands in the queue; leaves it when the wait ends in whatever way.
class Place {
 public:
  Place(detail::AdmissionState& state, const asio::any_io_executor& executor)
      : state_(state), place_(state.waiting.emplace(state.waiting.end(), executor)) {}
  ~Place() {
    state_.waiting.erase(place_);
    if (!state_.waiting.empty()) {
      state_.waiting.front().cancel();  // the next one is first now
    }
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  [[nodiscard]] bool first() const { return place_ == state_.waiting.begin(); }
  [[nodiscard]] asio::steady_timer& timer() { return *place_; }

 private:
  detail::AdmissionState& state_;
  std::list<asio::steady_timer>::iterator place_;
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
  }
  return *this;
}

Permit::~Permit() { give_back(); }

void Permit::give_back() {
  slot_.reset();
  if (state_) {
    --state_->running;
    if (!state_->waiting.empty()) {
      state_->waiting.front().cancel();
    }
    state_.reset();
  }
}

Admission::Admission(asio::any_io_executor executor, Options options)
    : executor_(std::move(executor)), state_(std::make_shared<detail::AdmissionState>()) {
  state_->options = std::move(options);
}

asio::awaitable<Admittance> Admission::admit(RunControl& control) {
  const std::shared_ptr<detail::AdmissionState> state = state_;
  Place place(*state, executor_);
  bool tried = false;
  while (true) {
    if (const auto& cancel = control.cancel_request()) {
      co_return Admittance{.permit = {}, .refusal = cancel->reason, .cause = cancel->cause};
    }
    if (place.first()) {
      Result<std::optional<UniqueFd>> slot = state->try_take();
      if (!slot) {
        co_return Admittance{
            .permit = {}, .refusal = Outcome::StartFailed, .cause = slot.error().message};
      }
      if (*slot) {
        co_return Admittance{
            .permit = Permit(state, std::move(**slot)), .refusal = {}, .cause = {}};
      }
    }
    if (!tried && static_cast<int>(state->waiting.size()) > state->options.queue) {
      co_return Admittance{
          .permit = {},
          .refusal = Outcome::Rejected,
          .cause = fmt::format("{} runs are going and {} wait already",
                               state->options.max_concurrent, state->waiting.size() - 1)};
    }
    tried = true;
    boost::system::error_code ignored;  // a cancelled wait is a reason to look again
    place.timer().expires_after(kPoll);
    co_await place.timer().async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

int Admission::running() const { return state_->running; }

int Admission::queued() const { return static_cast<int>(state_->waiting.size()); }

}  // namespace keisei::guard
