#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guard/run_control.h"

namespace keisei::guard {

namespace detail {
struct AdmissionState;
}

/// One of the slots; given back when it goes out of scope, and by the kernel when the process dies.
class Permit {
 public:
  Permit() = default;
  Permit(std::shared_ptr<detail::AdmissionState> state, UniqueFd slot);
  Permit(Permit&&) noexcept = default;
  Permit& operator=(Permit&& other) noexcept;
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;
  ~Permit();

  [[nodiscard]] explicit operator bool() const { return state_ != nullptr; }
  /// Its run computes with so many threads, from now on until it is given back.
  void compute_with(int threads);

 private:
  void give_back();

  std::shared_ptr<detail::AdmissionState> state_;
  UniqueFd slot_;
  int threads_ = 0;
};

/// A permit, or how the run ends without one (Rejected, StartFailed, or what `control` asks for).
struct Admittance {
  Permit permit;
  Outcome refusal = Outcome::Rejected;
  std::string cause;
};

/// Whether the one whose turn it is may go. Later keeps its place, and with it the queue behind it.
enum class Go { Now, Later, Never };
struct GateAnswer {
  Go go = Go::Now;
  std::string cause = {};                                              ///< of Later and Never
  std::chrono::nanoseconds ask_again = std::chrono::milliseconds(20);  ///< of Later
};
/// Asked on the loop thread whenever a slot is there, and again while it says Later.
using Gate = std::function<GateAnswer()>;

/// At most `max_concurrent` runs at once, first come, first served, over all processes that name
/// the same directory (slot_directory.h); without one, over this object's runs. What another
/// process gives back is noticed within 20 ms. Used on the loop thread.
///
///   admit -> slot, where one is free and nobody waits -> gate -> permit
///         -> ticket, where the queue has room -> first, slot, gate -> permit
class Admission {
 public:
  struct Options {
    int max_concurrent = 4;
    int queue = 16;                   ///< how many may wait, over all processes of the directory
    std::filesystem::path directory;  ///< empty: only this object's runs are counted
  };
  Admission(boost::asio::any_io_executor executor, Options options);

  /// Waits for a slot and for the gate, if there is one. `control` outlives the wait.
  [[nodiscard]] boost::asio::awaitable<Admittance> admit(RunControl& control, Gate gate = {});

  [[nodiscard]] int running() const;
  [[nodiscard]] int threads() const;  ///< that the running ones compute with, as they have said
  [[nodiscard]] int queued() const;   ///< of this object's runs

 private:
  boost::asio::any_io_executor executor_;
  std::shared_ptr<detail::AdmissionState> state_;
};

}  // namespace keisei::guard
