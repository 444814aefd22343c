#include "guard/quarantine.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace keisei::guard {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kLook(50);

/// Reaps it where it is.
bool gone(const UniqueFd& pidfd) {
  siginfo_t info = {};
  const long answer = syscall(SYS_waitid, P_PIDFD, pidfd.get(), &info, WEXITED | WNOHANG, nullptr);
  return answer != 0 || info.si_pid != 0;
}

}  // namespace

std::shared_ptr<Quarantine> Quarantine::create(asio::any_io_executor executor) {
  return std::shared_ptr<Quarantine>(new Quarantine(std::move(executor)));
}

void Quarantine::add(UniqueFd pidfd, Permit permit) {
  held_.push_back({std::move(pidfd), std::move(permit)});
  look_while_wanted();
}

int Quarantine::held() {
  release_gone();
  return static_cast<int>(held_.size());
}

void Quarantine::release_gone() {
  held_.remove_if([](const Held& held) { return gone(held.pidfd); });
}

Quarantine::Watch::Watch(std::shared_ptr<Quarantine> quarantine)
    : quarantine_(std::move(quarantine)) {
  ++quarantine_->watches_;
  quarantine_->release_gone();
  quarantine_->look_while_wanted();
}

void Quarantine::look_while_wanted() {
  if (lookers_ == 0 && watches_ > 0 && !held_.empty()) {
    ++lookers_;
    asio::co_spawn(executor_, keep_looking(shared_from_this()), asio::detached);
  }
}

asio::awaitable<void> Quarantine::keep_looking(std::shared_ptr<Quarantine> self) {
  asio::steady_timer timer(self->executor_);
  while (self->watches_ > 0 && self->held() > 0) {
    timer.expires_after(kLook);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  --self->lookers_;
}

}  // namespace keisei::guard
