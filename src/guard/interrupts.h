#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <optional>

namespace keisei::guard {

/// Keeps SIGINT and SIGTERM while it lives, for whoever asks; others may listen beside it, and none
/// falls between two of them. What nobody was told of does at its end what it does by default.
/// Used on one thread.
class Interrupts {
 public:
  Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts();

  /// The first that came. Who asks sees to the end of the process.
  [[nodiscard]] std::optional<int> heard();
  /// The same for who only ends what he does himself: it counts as told to nobody.
  [[nodiscard]] std::optional<int> overheard();

 private:
  boost::asio::io_context loop_{1};
  boost::asio::signal_set signals_;
  std::optional<int> first_;
  bool told_ = false;
};

}  // namespace keisei::guard
