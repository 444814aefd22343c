#include "app/learner_channel.h"

#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>
#include <variant>

namespace keisei::app {

namespace asio = boost::asio;

namespace {

constexpr int kMostBadMessages = 100;  // in a row: then the channel itself is broken

}  // namespace

LearnerChannel::LearnerChannel(const asio::any_io_executor& executor,
                               telemetry::ChannelReceiver receiver)
    : receiver_(std::move(receiver)), ready_(executor, ::dup(receiver_.fd())) {}

asio::awaitable<void> LearnerChannel::read(Listener listener) {
  while (!closed_) {
    boost::system::error_code error;
    co_await ready_.async_wait(asio::posix::stream_descriptor::wait_read,
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      co_return;
    }
    drain(listener);
  }
}

void LearnerChannel::drain(const Listener& listener) {
  while (!closed_) {
    auto message = receiver_.receive();
    if (!message) {
      listener.bad(message.error());
      if (++bad_in_a_row_ == kMostBadMessages) {
        closed_ = true;
        listener.take(telemetry::Closed{});
      }
      continue;
    }
    bad_in_a_row_ = 0;
    if (!*message) {
      return;
    }
    closed_ = std::holds_alternative<telemetry::Closed>(**message);
    listener.take(std::move(**message));
  }
}

void LearnerChannel::close() {
  closed_ = true;
  ready_.cancel();
}

}  // namespace keisei::app
