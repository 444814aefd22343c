#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "base/unique_fd.h"
#include "telemetry/records.h"

// The wire between the learner, which only sends, and the supervisor, which only receives:
//
//   learner: ChannelSender ── RUN/learner.sock, SOCK_SEQPACKET ──> ChannelReceiver: supervisor
//
// One packet is one message: a JSON object with a "type", and at most one descriptor. Either end
// may die and come back; the learner keeps the listening socket and waits for nobody. All
// descriptors are close-on-exec.
namespace keisei::telemetry {

inline constexpr std::string_view kLearnerSocketName = "learner.sock";
/// A longer message is an error on both sides; the longest real one has some 600 bytes.
inline constexpr std::size_t kMaxMessageBytes = std::size_t{64} * 1024;

/// Makes the listening socket RUN/learner.sock for the learner to inherit; replaces one that a dead
/// learner left. Works for paths of any length. Fails when a learner still listens there, and when
/// something else than a socket has that name. Who passes the socket on closes its own copy.
[[nodiscard]] Result<UniqueFd> listen_in(const std::filesystem::path& run_directory);

/// What the learner may send and, when nobody listens, keep.
using LearnerRecord = std::variant<UpdateRecord, CheckpointRecord, FinishedRecord>;

enum class NoticeOutcome { Sent, SkippedFull, SkippedNoPeer };

/// The learner's end. One thread. Never blocks but in send_rest(), never raises SIGPIPE. What a
/// supervisor had not yet read when it died is lost.
class ChannelSender {
 public:
  static constexpr std::size_t kDefaultKept = 10'000;

  /// Owns `listening` (of `listen_in`). `step_clock_fd` is borrowed and goes out with each Hello;
  /// -1 for none. Keeps at most `keep` records for a supervisor to come.
  ChannelSender(UniqueFd listening, int step_clock_fd, std::size_t keep = kDefaultKept);

  /// Takes a supervisor that waits, if there is one, tells it `hello` and then what was kept; true
  /// when one was taken. A dead supervisor is replaced; while one lives, a newcomer is turned away
  /// (it sees Closed). One system call when nobody waits.
  bool poll_accept(const HelloRecord& hello);

  /// Sends in order, after what was kept. What cannot be sent now is kept; the oldest are dropped,
  /// and counted, beyond the capacity.
  void send(const LearnerRecord& record);

  /// Sends the notice and a duplicate of `snapshot` now, or skips it and counts: an evaluation of
  /// old weights is not worth keeping. Anything but Sent leaves no trace on the wire.
  NoticeOutcome send_notice(const SnapshotNotice& notice, int snapshot);

  /// Sends what was kept, as far as it goes.
  void flush();
  /// Before the learner ends: sends what is kept, and blocks until all is sent, the supervisor is
  /// gone, or `patience` is over (it may be stopped at its terminal).
  void send_rest(std::chrono::nanoseconds patience);

  /// Whether a supervisor is there, as known now; notices that it died. One system call.
  [[nodiscard]] bool connected();
  [[nodiscard]] std::size_t kept() const { return kept_.size(); }
  [[nodiscard]] std::uint64_t records_dropped() const { return records_dropped_; }
  [[nodiscard]] std::uint64_t notices_skipped() const { return notices_skipped_; }

 private:
  enum class Sending { Done, Full, PeerLost };

  Sending send_packet(std::string_view message, int fd);
  void keep(std::string message);

  const UniqueFd listening_;
  const int step_clock_fd_;
  const std::size_t capacity_;
  UniqueFd peer_;
  std::deque<std::string> kept_;  // encoded, oldest first
  std::uint64_t records_dropped_ = 0;
  std::uint64_t notices_skipped_ = 0;
};

struct Hello {
  HelloRecord record;
  UniqueFd step_clock;  // for StepClockReader::attach; none when the learner has none
};
struct Notice {
  SnapshotNotice record;
  UniqueFd snapshot;  // sealed weights; always there
};
/// The learner's end is gone: it died, it finished, or it turned us away.
struct Closed {};

using Message = std::variant<Hello, UpdateRecord, CheckpointRecord, Notice, FinishedRecord, Closed>;

/// Reads one message from a packet: pure, but for `fd`, which is closed where the type of the
/// message has no use for it. Fails on garbage, on an unknown type, and on a notice without one.
[[nodiscard]] Result<Message> parse_message(std::string_view packet, UniqueFd fd);

/// The supervisor's end. One thread.
class ChannelReceiver {
 public:
  /// Connects to RUN/learner.sock. Fails when no learner listens there.
  [[nodiscard]] static Result<ChannelReceiver> connect_in(
      const std::filesystem::path& run_directory);

  /// The next message, or nullopt when there is none now. Never blocks. After Closed it is always
  /// Closed. An Error is one bad packet: it is gone, its descriptors are closed, and the next call
  /// goes on behind it.
  [[nodiscard]] Result<std::optional<Message>> receive();

  /// To wait on for reading. Lives as long as the receiver.
  [[nodiscard]] int fd() const { return socket_.get(); }
  /// Of the process that made the listening socket, as the kernel says: the supervisor that first
  /// started the learner, or the learner itself. The learner's own pid is in Hello.
  [[nodiscard]] Result<pid_t> peer_pid() const;

 private:
  explicit ChannelReceiver(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
};

}  // namespace keisei::telemetry
