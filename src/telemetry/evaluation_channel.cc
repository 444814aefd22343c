#include "telemetry/evaluation_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"

namespace keisei::telemetry {
namespace {

// Only one supervisor is served: a few more wait here to be turned away.
constexpr int kBacklog = 4;
// Descriptors in one packet that we can name and close; the kernel discards any beyond.
constexpr std::size_t kMaxDescriptors = 4;

/// A unix address has room for 107 bytes of path: the directory goes in as a descriptor.
sockaddr_un address_in(int directory) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto end = fmt::format_to_n(address.sun_path, sizeof address.sun_path - 1,
                                    "/proc/self/fd/{}/{}", directory, kLearnerSocketName);
  *end.out = '\0';
  return address;
}

Result<UniqueFd> open_directory(const std::filesystem::path& path) {
  UniqueFd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    return fail_errno(fmt::format("opening the run directory {}", path.string()));
  }
  return directory;
}

Result<UniqueFd> make_socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) {
    return fail_errno("making the socket of the evaluation channel");
  }
  return socket;
}

bool connect_to(int socket, const sockaddr_un& address) {
  return ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

/// Takes away the socket file of a dead learner.
Result<void> remove_stale(int directory, const std::filesystem::path& run_directory) {
  const std::string name(kLearnerSocketName);
  struct stat status {};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return {};
  }
  if (!S_ISSOCK(status.st_mode)) {
    return fail("{}/{} is not a socket: move it away", run_directory.string(), name);
  }
  KEISEI_TRY(probe, make_socket());
  // EAGAIN: it listens, but nobody was accepted for a while.
  if (connect_to(probe.get(), address_in(directory)) || errno == EAGAIN) {
    return fail("a learner already runs in {}: attach to it with --resume, or end it first",
                run_directory.string());
  }
  if (::unlinkat(directory, name.c_str(), 0) != 0) {
    return fail_errno(fmt::format("removing the old {}/{}", run_directory.string(), name));
  }
  return {};
}

// --- encoding ----------------------------------------------------------------------------------

constexpr std::string_view kHello = "hello";
constexpr std::string_view kUpdate = "update";
constexpr std::string_view kCheckpoint = "checkpoint";
constexpr std::string_view kNotice = "notice";
constexpr std::string_view kFinished = "finished";

std::string_view type_of(const UpdateRecord&) { return kUpdate; }
std::string_view type_of(const CheckpointRecord&) { return kCheckpoint; }
std::string_view type_of(const FinishedRecord&) { return kFinished; }

/// The record's own object with the type in front.
std::string encode(std::string_view type, const std::string& record) {
  return fmt::format(R"({{"type":"{}",{})", type, std::string_view(record).substr(1));
}

template <typename Record>
Result<Message> as_message(Result<Record> record) {
  return std::move(record).map([](Record value) { return Message(std::move(value)); });
}

/// One packet as it came, with its descriptors.
struct Packet {
  std::size_t size = 0;
  int flags = 0;
  std::vector<UniqueFd> descriptors{};
};

std::vector<UniqueFd> take_descriptors(msghdr& header) {
  std::vector<UniqueFd> descriptors;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
  return descriptors;
}

/// errno is in the error's place: nullopt means that the system call failed.
std::optional<Packet> receive_packet(int socket, std::span<char> buffer) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  iovec content{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr header{};
  header.msg_iov = &content;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t size = -1;
  do {
    size = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    return std::nullopt;
  }
  return Packet{.size = static_cast<std::size_t>(size),
                .flags = header.msg_flags,
                .descriptors = take_descriptors(header)};
}

}  // namespace

Result<UniqueFd> listen_in(const std::filesystem::path& run_directory) {
  KEISEI_TRY(directory, open_directory(run_directory));
  KEISEI_TRY_VOID(remove_stale(directory.get(), run_directory));
  KEISEI_TRY(socket, make_socket());
  const sockaddr_un address = address_in(directory.get());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    return fail_errno(
        fmt::format("listening at {}/{}", run_directory.string(), kLearnerSocketName));
  }
  return socket;
}

// --- the learner's end -------------------------------------------------------------------------

ChannelSender::ChannelSender(UniqueFd listening, int step_clock_fd, std::size_t keep)
    : listening_(std::move(listening)), step_clock_fd_(step_clock_fd), capacity_(keep) {
  KEISEI_CHECK(listening_.get() >= 0, "the evaluation channel needs a listening socket");
  // An inherited socket may have lost both: neither may be left to the parent.
  const int flags = ::fcntl(listening_.get(), F_GETFL);
  KEISEI_CHECK(flags >= 0 && ::fcntl(listening_.get(), F_SETFL, flags | O_NONBLOCK) == 0 &&
                   ::fcntl(listening_.get(), F_SETFD, FD_CLOEXEC) == 0,
               "descriptor {} is not open", listening_.get());
}

bool ChannelSender::poll_accept(const HelloRecord& hello) {
  bool taken = false;
  while (true) {
    UniqueFd newcomer(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!newcomer && (errno == EINTR || errno == ECONNABORTED)) {
      continue;
    }
    if (!newcomer) {
      return taken && peer_;
    }
    if (connected()) {
      continue;  // closes the newcomer
    }
    peer_ = std::move(newcomer);
    taken = true;
    // The buffer is empty: it goes out, or the newcomer has gone already.
    if (send_packet(encode(kHello, to_json(hello)), step_clock_fd_) != Sending::Done) {
      peer_.reset();
    }
    flush();
  }
}

bool ChannelSender::connected() {
  if (!peer_) {
    return false;
  }
  pollfd poll{.fd = peer_.get(), .events = POLLRDHUP, .revents = 0};
  if (::poll(&poll, 1, 0) > 0 && (poll.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
    peer_.reset();
  }
  return static_cast<bool>(peer_);
}

ChannelSender::Sending ChannelSender::send_packet(std::string_view message, int fd) {
  if (!peer_) {
    return Sending::PeerLost;
  }
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  iovec content{.iov_base = const_cast<char*>(message.data()), .iov_len = message.size()};
  msghdr header{};
  header.msg_iov = &content;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(peer_.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) {
    return Sending::Done;
  }
  KEISEI_CHECK(errno != EBADF && errno != EMSGSIZE, "sending {} bytes with descriptor {}: {}",
               message.size(), fd, std::strerror(errno));
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN || errno == ECONNREFUSED) {
    peer_.reset();
    return Sending::PeerLost;
  }
  return Sending::Full;  // EAGAIN, or the kernel is out of memory or of descriptors in flight
}

void ChannelSender::keep(std::string message) {
  kept_.push_back(std::move(message));
  if (kept_.size() > capacity_) {
    kept_.pop_front();
    ++records_dropped_;
  }
}

void ChannelSender::flush() {
  while (!kept_.empty() && send_packet(kept_.front(), -1) == Sending::Done) {
    kept_.pop_front();
  }
}

void ChannelSender::send_rest(std::chrono::nanoseconds patience) {
  constexpr std::chrono::milliseconds kLook{100};
  constexpr std::chrono::milliseconds kRest{5};  // where the socket takes some, but not this
  const MonotonicTime end = MonotonicClock::now() + patience;
  for (flush(); !kept_.empty() && connected(); flush()) {
    const std::chrono::nanoseconds left = end - MonotonicClock::now();
    if (left <= std::chrono::nanoseconds{0}) {
      return;
    }
    pollfd poll{.fd = peer_.get(), .events = POLLOUT, .revents = 0};
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(
        std::min<std::chrono::nanoseconds>(left, kLook));
    if (::poll(&poll, 1, static_cast<int>(wait.count())) > 0) {
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(left, kRest));
    }
  }
}

void ChannelSender::send(const LearnerRecord& record) {
  std::string message =
      std::visit([](const auto& value) { return encode(type_of(value), to_json(value)); }, record);
  if (message.size() > kMaxMessageBytes) {  // a monstrous path or error text
    ++records_dropped_;
    return;
  }
  flush();
  if (!kept_.empty() || send_packet(message, -1) != Sending::Done) {
    keep(std::move(message));
  }
}

NoticeOutcome ChannelSender::send_notice(const SnapshotNotice& notice, int snapshot) {
  KEISEI_CHECK(snapshot >= 0, "a notice goes with a snapshot");
  flush();
  const Sending sending = kept_.empty() || !peer_
                              ? send_packet(encode(kNotice, to_json(notice)), snapshot)
                              : Sending::Full;
  switch (sending) {
    case Sending::Done:
      return NoticeOutcome::Sent;
    case Sending::Full:
      ++notices_skipped_;
      return NoticeOutcome::SkippedFull;
    case Sending::PeerLost:
      ++notices_skipped_;
      return NoticeOutcome::SkippedNoPeer;
  }
  return NoticeOutcome::SkippedNoPeer;
}

// --- the supervisor's end ----------------------------------------------------------------------

Result<Message> parse_message(std::string_view packet, UniqueFd fd) {
  const auto json = nlohmann::json::parse(packet, nullptr, false);
  if (!json.is_object() || !json.contains("type") || !json["type"].is_string()) {
    return fail("a packet of {} bytes on the evaluation channel is not a message", packet.size());
  }
  const auto& type = json["type"].get_ref<const std::string&>();
  if (type == kHello) {
    return parse_hello(packet).map([&](HelloRecord record) {
      return Message(Hello{.record = std::move(record), .step_clock = std::move(fd)});
    });
  }
  if (type == kNotice) {
    if (!fd) {
      return fail("a snapshot notice on the evaluation channel came without its snapshot");
    }
    return parse_notice(packet).map([&](const SnapshotNotice& record) {
      return Message(Notice{.record = record, .snapshot = std::move(fd)});
    });
  }
  if (type == kUpdate) {
    return as_message(parse_update(packet));
  }
  if (type == kCheckpoint) {
    return as_message(parse_checkpoint(packet));
  }
  if (type == kFinished) {
    return as_message(parse_finished(packet));
  }
  return fail(
      "a message on the evaluation channel has an unknown type: the learner is of another keisei "
      "version");
}

Result<ChannelReceiver> ChannelReceiver::connect_in(const std::filesystem::path& run_directory) {
  KEISEI_TRY(directory, open_directory(run_directory));
  KEISEI_TRY(socket, make_socket());
  if (!connect_to(socket.get(), address_in(directory.get()))) {
    if (errno == ENOENT || errno == ECONNREFUSED) {
      return fail("no learner runs in {}", run_directory.string());
    }
    return fail_errno(
        fmt::format("connecting to {}/{}", run_directory.string(), kLearnerSocketName));
  }
  return ChannelReceiver(std::move(socket));
}

Result<std::optional<Message>> ChannelReceiver::receive() {
  std::array<char, kMaxMessageBytes> buffer;
  auto packet = receive_packet(socket_.get(), buffer);
  if (!packet) {
    if (errno == EAGAIN) {
      return std::nullopt;
    }
    if (errno == ECONNRESET) {
      return Message(Closed{});
    }
    return fail_errno("reading from the learner");
  }
  if (packet->size == 0 && packet->descriptors.empty()) {
    return Message(Closed{});
  }
  if ((packet->flags & MSG_TRUNC) != 0) {
    return fail("a message on the evaluation channel is longer than {} bytes", kMaxMessageBytes);
  }
  if ((packet->flags & MSG_CTRUNC) != 0 || packet->descriptors.size() > 1) {
    return fail(
        "the descriptor of a message on the evaluation channel did not arrive whole: is the limit "
        "of open files (ulimit -n) reached?");
  }
  UniqueFd fd = packet->descriptors.empty() ? UniqueFd() : std::move(packet->descriptors.front());
  return parse_message({buffer.data(), packet->size}, std::move(fd));
}

Result<pid_t> ChannelReceiver::peer_pid() const {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return fail_errno("asking who is on the evaluation channel");
  }
  return credentials.pid;
}

}  // namespace keisei::telemetry
