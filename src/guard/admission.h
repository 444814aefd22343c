#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>
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

 private:
  void give_back();

  std::shared_ptr<detail::AdmissionState> state_;
  UniqueFd slot_;
};

/// A permit, or how the run ends without one (Rejected, StartFailed, or what `control` asks for).
struct Admittance {
  Permit permit;
  Outcome refusal = Outcome::Rejected;
  std::string cause;
};

/// At most `max_concurrent` runs at once over all processes that name the same directory: slot i is
/// a file lock on slot-<i>.lock. First come, first served within a process; a slot that another
/// process gives back is noticed within 20 ms. Used on the loop thread.
class Admission {
 public:
  struct Options {
    int max_concurrent = 4;
    int queue = 16;                   ///< how many may wait
    std::filesystem::path directory;  ///< empty: only this object's runs are counted
  };
  Admission(boost::asio::any_io_executor executor, Options options);

  /// Waits for a slot. `control` outlives the wait.
  [[nodiscard]] boost::asio::awaitable<Admittance> admit(RunControl& control);

  [[nodiscard]] int running() const;
  [[nodiscard]] int queued() const;

 private:
  boost::asio::any_io_executor executor_;
  std::shared_ptr<detail::AdmissionState> state_;
};

}  // namespace keisei::guard
