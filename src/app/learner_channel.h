#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>

#include "base/result.h"
#include "telemetry/evaluation_channel.h"

namespace keisei::app {

/// The learner's channel on the supervisor's loop.
///   socket readable -> packets -> {take(message), bad(error)}
class LearnerChannel {
 public:
  struct Listener {
    std::function<void(telemetry::Message)> take;
    std::function<void(const Error&)> bad;  ///< a packet that cannot be read; the next is
  };
  LearnerChannel(const boost::asio::any_io_executor& executor, telemetry::ChannelReceiver receiver);

  /// Until the channel is closed. When the learner's end is, closed() is true and Closed the last
  /// message; a hundred bad packets in a row are a broken channel, which is as good as that.
  [[nodiscard]] boost::asio::awaitable<void> read(Listener listener);
  /// From this end: nothing is taken any more.
  void close();
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  void drain(const Listener& listener);

  telemetry::ChannelReceiver receiver_;
  boost::asio::posix::stream_descriptor ready_;  // a duplicate: asio closes what it owns
  int bad_in_a_row_ = 0;
  bool closed_ = false;
};

}  // namespace keisei::app
