#include "guard/slot_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

namespace keisei::guard {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLastNumber = 1'000'000'000'000;  // a higher one is no ticket
constexpr std::uint64_t kMostAttempts = 1000;  // to find a number whose file nobody left behind
constexpr std::string_view kTicket = "ticket-";
constexpr std::string_view kLock = ".lock";

std::string ticket_name(std::uint64_t number) {
  return fmt::format("{}{:09}{}", kTicket, number, kLock);
}

std::optional<std::uint64_t> ticket_number(std::string_view file_name) {
  std::string_view name = file_name;
  if (!name.starts_with(kTicket) || !name.ends_with(kLock)) {
    return std::nullopt;
  }
  name.remove_prefix(kTicket.size());
  name.remove_suffix(kLock.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool whole = error == std::errc{} && end == name.data() + name.size();
  const bool ours = whole && number > 0 && number <= kLastNumber;
  return ours && file_name == ticket_name(number) ? std::optional(number) : std::nullopt;
}

/// Opens a lock file, never waits for it (a fifo), never follows a link out of the directory.
UniqueFd open_existing(const fs::path& path) {
  return UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
}

/// Who may lock a file of this directory. To read a file is enough to lock it, so those may read it
/// who may write to the directory, and nobody else: they could hold up everybody.
struct Sharing {
  uid_t owner = 0;
  gid_t group = 0;
  mode_t mode = S_IRUSR | S_IWUSR;
};

Sharing sharing_of(const fs::path& directory) {
  struct stat status = {};
  if (stat(directory.c_str(), &status) != 0) {
    return {};
  }
  Sharing sharing{.owner = status.st_uid, .group = status.st_gid};
  sharing.mode |= (status.st_mode & S_IWGRP) != 0 ? S_IRGRP : 0;
  sharing.mode |= (status.st_mode & S_IWOTH) != 0 ? S_IROTH : 0;
  return sharing;
}

/// Of a file that this account has made, whatever the umask says.
void share(const UniqueFd& file, const Sharing& sharing) {
  if ((sharing.mode & S_IRGRP) != 0) {
    (void)fchown(file.get(), static_cast<uid_t>(-1), sharing.group);
  }
  (void)fchmod(file.get(), sharing.mode);
}

/// Of what was made while the directory was shared with more, or by a version that let everybody
/// read. It only ever takes rights away: who may write to the directory can move any file of ours
/// to a lock's name, and would else read it.
void narrow(const UniqueFd& file, const Sharing& sharing) {
  struct stat status = {};
  const bool ours = fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                    status.st_nlink == 1 && status.st_size == 0 && status.st_uid == geteuid() &&
                    (sharing.owner == status.st_uid || sharing.owner == 0);
  const mode_t mode = status.st_mode & ALLPERMS;
  if (ours && (mode & ~sharing.mode) != 0) {
    (void)fchmod(file.get(), mode & sharing.mode);
  }
}

UniqueFd create(const fs::path& path) {
  const Sharing sharing = sharing_of(path.parent_path());
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, sharing.mode));
  if (file) {
    if (geteuid() == 0) {  // the directory's owner may lock what root has made in it
      (void)fchown(file.get(), sharing.owner, static_cast<gid_t>(-1));
    }
    share(file, sharing);
  }
  return file;
}

/// In a directory that everybody may write to, O_CREAT would refuse the files of other users.
UniqueFd open_or_create(const fs::path& path) {
  for (int attempt = 0; attempt < 3; ++attempt) {  // others create and remove too
    UniqueFd file = open_existing(path);
    if (file || errno != ENOENT) {
      return file;
    }
    file = create(path);
    if (file || errno != EEXIST) {
      return file;
    }
  }
  return UniqueFd();
}

/// Whether `path` still names what `file` is: a lock on a file that somebody removed is no lock.
bool names(const fs::path& path, const UniqueFd& file) {
  struct stat by_name = {};
  struct stat held = {};
  return lstat(path.c_str(), &by_name) == 0 && fstat(file.get(), &held) == 0 &&
         by_name.st_ino == held.st_ino && by_name.st_dev == held.st_dev;
}

tl::unexpected<Error> lock_failure(std::string_view doing, const fs::path& path) {
  return with_context(fail_errno(fmt::format("{} {}", doing, path.string())).value(),
                      "the slots directory (make it writable for you, or name another)");
}

/// Nothing: somebody else holds it.
Result<std::optional<UniqueFd>> lock_now(const fs::path& path) {
  UniqueFd file = open_or_create(path);
  if (!file) {
    return lock_failure("opening", path);
  }
  narrow(file, sharing_of(path.parent_path()));
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK || errno == EINTR) {
      return std::optional<UniqueFd>();
    }
    return lock_failure("locking", path);
  }
  return names(path, file) ? std::optional(std::move(file)) : std::optional<UniqueFd>();
}

/// Whether its owner lives. A shared lock, so that two who look do not take each other for it.
/// What may not be opened (another user's, with a mode that is not ours) holds nobody up.
Result<bool> waits(const fs::path& ticket) {
  const UniqueFd file = open_existing(ticket);
  if (!file) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
      return lock_failure("opening", ticket);
    }
    return false;
  }
  if (flock(file.get(), LOCK_SH | LOCK_NB) == 0) {
    return false;
  }
  if (errno == EWOULDBLOCK || errno == EINTR) {
    return true;
  }
  return lock_failure("looking at", ticket);
}

Result<std::vector<std::uint64_t>> ticket_numbers(const fs::path& directory) {
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (const auto number = ticket_number(it->path().filename().native())) {
      numbers.push_back(*number);
    }
  }
  if (error) {
    return fail("reading the slots directory {}: {}", directory.string(), error.message());
  }
  return numbers;
}

/// The numbers of those who wait; removes what the dead left. Only under the queue's lock: a ticket
/// that is being made is not locked yet.
Result<std::vector<std::uint64_t>> clean_queue(const fs::path& directory) {
  KEISEI_TRY(numbers, ticket_numbers(directory));
  std::vector<std::uint64_t> waiting;
  for (const std::uint64_t number : numbers) {
    const fs::path path = directory / ticket_name(number);
    KEISEI_TRY(alive, waits(path));
    if (alive) {
      waiting.push_back(number);
    } else {
      unlink(path.c_str());  // another user's may stay: it counts for nothing
    }
  }
  return waiting;
}

Result<QueueTicket> draw(const fs::path& directory, std::optional<std::uint64_t> last) {
  const std::uint64_t highest = last.value_or(0);
  const std::uint64_t most = std::min(highest + kMostAttempts, kLastNumber);
  for (std::uint64_t number = highest + 1; number <= most; ++number) {
    const fs::path path = directory / ticket_name(number);
    UniqueFd file = create(path);
    if (!file && errno == EEXIST) {
      continue;  // a dead one that only its owner may remove
    }
    if (!file) {
      return lock_failure("creating", path);
    }
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      return lock_failure("locking", path);
    }
    return QueueTicket(directory, number, last, std::move(file));
  }
  if (most == kLastNumber) {  // nobody would see a higher one, and it nobody
    return fail("the slots directory {} has no number above its ticket {}: remove that file",
                directory.string(), ticket_name(highest));
  }
  return fail("the slots directory {} is full of tickets that other users left: remove them",
              directory.string());
}

}  // namespace

QueueTicket::QueueTicket(fs::path directory, std::uint64_t number,
                         std::optional<std::uint64_t> predecessor, UniqueFd file)
    : directory_(std::move(directory)),
      number_(number),
      predecessor_(predecessor),
      file_(std::move(file)) {}

QueueTicket::~QueueTicket() {
  if (file_) {
    const fs::path path = directory_ / ticket_name(number_);
    if (names(path, file_)) {
      unlink(path.c_str());
    }
  }
}

Result<bool> QueueTicket::first() {
  if (!predecessor_) {
    return true;
  }
  KEISEI_TRY(still_there, waits(directory_ / ticket_name(*predecessor_)));
  if (still_there) {
    return false;
  }
  // Every lower ticket was locked before this one was drawn, so that looking needs no lock.
  KEISEI_TRY(numbers, ticket_numbers(directory_));
  std::erase_if(numbers, [&](std::uint64_t number) { return number >= number_; });
  std::ranges::sort(numbers, std::greater{});
  for (const std::uint64_t number : numbers) {
    KEISEI_TRY(ahead, waits(directory_ / ticket_name(number)));
    if (ahead) {
      predecessor_ = number;
      return false;
    }
  }
  predecessor_.reset();
  return true;
}

SlotDirectory::SlotDirectory(fs::path directory, int slots)
    : directory_(std::move(directory)), slots_(slots) {}

Result<SlotDirectory::Entry> SlotDirectory::enter(Want want, int queue) const {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) {
    return fail("creating the slots directory {}: {}", directory_.string(), error.message());
  }
  KEISEI_TRY(lock, lock_now(directory_ / "queue.lock"));
  if (!lock) {
    return Entry(Busy{});
  }
  KEISEI_TRY(waiting, clean_queue(directory_));
  if (waiting.empty() && want == Want::SlotOrTicket) {
    KEISEI_TRY(slot, take_slot());
    if (slot) {
      return Entry(std::move(*slot));
    }
  }
  if (std::cmp_greater_equal(waiting.size(), queue)) {
    return Entry(Full{.waiting = static_cast<int>(waiting.size())});
  }
  KEISEI_TRY(ticket, draw(directory_, waiting.empty() ? std::nullopt
                                                      : std::optional(std::ranges::max(waiting))));
  return Entry(std::move(ticket));
}

Result<std::optional<UniqueFd>> SlotDirectory::take_slot() const {
  for (int i = 0; i < slots_; ++i) {
    KEISEI_TRY(slot, lock_now(directory_ / fmt::format("slot-{}.lock", i)));
    if (slot) {
      return slot;
    }
  }
  return std::optional<UniqueFd>();
}

}  // namespace keisei::guard
