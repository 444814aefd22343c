#include "os/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <new>
#include <optional>
#include <utility>

#include "base/check.h"
#include "os/program.h"
#include "os/spawn.h"

namespace keisei::os {
namespace {

constexpr int kStartPatienceMs = 10'000;
constexpr int kEndPatienceMs = 5'000;

Result<UniqueFd> spec_file(const JailSpec& spec) {
  UniqueFd fd(memfd_create("keisei-jail-spec", MFD_CLOEXEC));
  if (!fd || write(fd.get(), &spec, sizeof spec) != ssize_t{sizeof spec}) {
    return fail_errno("writing the jail's description");
  }
  return fd;
}

/// Puts the payload where keisei-jail expects it and notes in `jail` where it goes from there.
Result<std::vector<FdMapping>> plan_payload(const std::vector<FdMapping>& fds, JailSpec& jail) {
  if (fds.size() > kJailMaxPayload) {
    return fail("a jailed command inherits at most {} descriptors", kJailMaxPayload);
  }
  std::vector<FdMapping> plan;
  for (const FdMapping& mapping : fds) {
    KEISEI_CHECK(mapping.child_fd >= 0 && mapping.child_fd < kHandshakeFd,
                 "descriptor {} is out of a jailed command's range", mapping.child_fd);
    jail.child_fds[jail.payload_count] = mapping.child_fd;
    plan.push_back({mapping.fd, kJailFirstPayloadFd + jail.payload_count});
    ++jail.payload_count;
  }
  return plan;
}

struct Sockets {
  UniqueFd ours;
  UniqueFd theirs;
};

Result<Sockets> control_sockets() {
  int fds[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return fail_errno("making the jail's control socket");
  }
  return Sockets{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

/// Reaps keisei-jail itself, which exits as soon as the init lives.
void reap_starter(pid_t starter) {
  while (waitpid(starter, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Error setup_error(JailMessage message) {
  message.step[sizeof message.step - 1] = '\0';
  return {fmt::format("setting up the jail: {}: {}", message.step, strerror(message.value))};
}

/// What recv(2) returns; 0 as well for what is no message of this build.
ssize_t receive_message(int control, HeardMessage& heard, int flags) {
  iovec part = {.iov_base = &heard.message, .iov_len = sizeof heard.message};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  const ssize_t got = recvmsg(control, &header, flags | MSG_CMSG_CLOEXEC);
  const cmsghdr* passed = got > 0 ? CMSG_FIRSTHDR(&header) : nullptr;
  if (passed != nullptr && passed->cmsg_level == SOL_SOCKET && passed->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(passed), sizeof fd);
    heard.descriptor.reset(fd);
  }
  return got < 0 || got == ssize_t{sizeof heard.message} ? got : 0;
}

/// Until «Started». What the init says before its starter gets to say that is kept in `early`.
Result<JailMessage> await_started(int control, std::deque<HeardMessage>& early) {
  pollfd ready = {.fd = control, .events = POLLIN, .revents = 0};
  while (true) {
    const int count = ::poll(&ready, 1, kStartPatienceMs);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return fail("keisei-jail said nothing within {} s", kStartPatienceMs / 1000);
    }
    HeardMessage heard;
    if (receive_message(control, heard, 0) <= 0) {
      break;
    }
    if (heard.message.kind == JailMessageKind::Started) {
      return heard.message;
    }
    early.push_back(std::move(heard));
  }
  for (const HeardMessage& heard : early) {
    if (heard.message.kind == JailMessageKind::SetupFailed) {
      return tl::unexpected(setup_error(heard.message));
    }
  }
  return fail("keisei-jail ended before it started anything; is it of this build?");
}

}  // namespace

Result<Jail> Jail::launch(LaunchSpec spec) {
  KEISEI_CHECK(!spec.argv.empty(), "a jail needs a command");
  KEISEI_TRY(program, find_program("keisei-jail"));
  KEISEI_TRY(plan, plan_payload(spec.fds, spec.jail));
  if (spec.cgroup_fd >= 0) {
    spec.jail.in_cgroup = 1;
    plan.push_back({spec.cgroup_fd, kJailCgroupFd});
  }
  KEISEI_TRY(description, spec_file(spec.jail));
  KEISEI_TRY(sockets, control_sockets());
  plan.push_back({sockets.theirs.get(), kJailControlFd});
  plan.push_back({description.get(), kJailSpecFd});
  std::vector<std::string> argv = {"keisei-jail"};
  argv.insert(argv.end(), spec.argv.begin(), spec.argv.end());
  // The starter may be in the terminal's foreground group, and what is meant for the guard must not
  // end it before it has said what it did.
  constexpr int kForTheGuard[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP};
  KEISEI_TRY(starter, spawn({.path = program.string(),
                             .argv = argv,
                             .environment = spec.environment,
                             .fds = plan,
                             .own_process_group = false,
                             .blocked = kForTheGuard,
                             .program_closes_gaps = true}));
  sockets.theirs.reset();
  std::deque<HeardMessage> early;
  Result<JailMessage> started = await_started(sockets.ours.get(), early);
  if (!started) {
    kill(starter, SIGKILL);
    reap_starter(starter);
    return tl::unexpected(std::move(started).error());
  }
  reap_starter(starter);
  Result<UniqueFd> pidfd = open_pidfd(started->value);
  if (!pidfd) {
    sockets.ours.reset();  // the lifeline ends the tree
    reap_starter(started->value);
    return tl::unexpected(std::move(pidfd).error());
  }
  Jail jail(std::move(sockets.ours), std::move(*pidfd), *started);
  jail.early_ = std::move(early);
  return jail;
}

Jail::~Jail() {
  if (!pidfd_) {
    return;
  }
  kill_tree({}, false);
  pollfd ended = {.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  while (::poll(&ended, 1, kEndPatienceMs) < 0 && errno == EINTR) {
  }
  (void)reap();
}

std::optional<JailEvent> Jail::receive() {
  while (true) {
    HeardMessage heard;
    ssize_t got = sizeof heard.message;
    if (!early_.empty()) {
      heard = std::move(early_.front());
      early_.pop_front();
    } else {
      got = receive_message(control_.get(), heard, MSG_DONTWAIT);
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return std::nullopt;
    }
    if (got <= 0) {
      return JailClosed{};
    }
    if (std::optional<JailEvent> event = understand(std::move(heard))) {
      return event;
    }
  }
}

std::optional<JailEvent> Jail::understand(HeardMessage heard) {
  JailMessage& message = heard.message;
  switch (message.kind) {
    case JailMessageKind::Scratch:
      scratch_ = std::move(heard.descriptor);
      return std::nullopt;
    case JailMessageKind::Holds:
      hold_.mechanisms = static_cast<std::uint32_t>(message.value);
      hold_.landlock_abi = message.detail;
      return std::nullopt;
    case JailMessageKind::SetupFailed:
      message.step[sizeof message.step - 1] = '\0';
      return JailSetupFailed{message.step, message.value};
    case JailMessageKind::ExecFailed:
      return JailExecFailed{message.value};
    case JailMessageKind::MainExited:
      return JailMainExited{exit_status(message.value)};
    case JailMessageKind::MainStopped:
      return JailMainStopped{message.value};
    case JailMessageKind::Started:
      break;
  }
  KEISEI_CHECK(false, "the jail started twice");
  return std::nullopt;
}

bool Jail::send(const JailOrder& order) {
  const ssize_t sent = ::send(control_.get(), &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT);
  // An init that is gone, or about to be, needs no order.
  return sent == static_cast<ssize_t>(sizeof order) || (errno != EAGAIN && errno != ENOBUFS);
}

void Jail::signal_main(int signal) { send({.kind = JailOrderKind::SignalMain, .signal = signal}); }

void Jail::signal_group(int signal) {
  send({.kind = JailOrderKind::SignalGroup, .signal = signal});
}

void Jail::give_terminal() { send({.kind = JailOrderKind::TakeTerminal}); }

bool Jail::signal_tree(int signal) {
  return send({.kind = JailOrderKind::SignalTree, .signal = signal});
}

bool Jail::let_tree_run(std::chrono::nanoseconds lease) {
  return send({.kind = JailOrderKind::LetTreeRun, .lease_ns = lease.count()});
}

void Jail::prepare_to_kill() {
  if (std::exchange(prepared_, true) || hold_.containment == Containment::Sweep) {
    return;
  }
  try {
    kill_ = can_help_to_die() ? std::make_unique<TreeKill>() : nullptr;
  } catch (const std::bad_alloc&) {
    // Its kill takes longer.
  }
}

void Jail::kill_tree(std::span<const pid_t> members, bool help) {
  if (hold_.containment == Containment::Sweep) {
    shutdown(control_.get(), SHUT_WR);  // the lifeline: the init sweeps, then ends
    return;
  }
  std::vector<Condemned> condemned;
  try {
    condemned = condemn(init_pid_, members);
  } catch (const std::bad_alloc&) {
    // What is not condemned dies with the init.
  }
  const bool helped = help && kill_ && kill_->ready() && worth_helping(condemned);
  UniqueFd init(helped ? fcntl(pidfd_.get(), F_DUPFD_CLOEXEC, 0) : -1);
  if (!init) {
    kill_init();  // first, so that it reports none of the deaths that follow
    kill_all(condemned);
    return;
  }
  kill_->kill({.pid = init_pid_, .handle = std::move(init)}, std::move(condemned));
  if (!kill_->signalled()) {  // others have every processor
    kill_init();
    kill_all(kill_->condemned());
  } else if (kill_->goes_first()) {
    hurry_dying(kill_->condemned());
  }
}

void Jail::rouse_init() { syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGCONT, nullptr, 0); }

void Jail::kill_init() { syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0); }

std::optional<TreeUsage> Jail::reap() {
  rusage usage = {};
  siginfo_t info = {};
  if (!pidfd_ ||
      syscall(SYS_waitid, P_PIDFD, pidfd_.get(), &info, WEXITED | WNOHANG, &usage) != 0 ||
      info.si_pid == 0) {
    return std::nullopt;
  }
  pidfd_.reset();
  scratch_.reset();
  const auto to_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return TreeUsage{.cpu_seconds = to_seconds(usage.ru_utime) + to_seconds(usage.ru_stime),
                   .largest_rss = {usage.ru_maxrss * 1024}};
}

}  // namespace keisei::os
