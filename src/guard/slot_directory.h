#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <variant>

#include "base/result.h"
#include "base/unique_fd.h"

namespace keisei::guard {

/// A place in the queue that all processes of one directory share: a locked file whose number says
/// who came first. Gone with its owner: a ticket that nobody locks counts for nothing.
class QueueTicket {
 public:
  QueueTicket(std::filesystem::path directory, std::uint64_t number,
              std::optional<std::uint64_t> predecessor, UniqueFd file);
  QueueTicket(QueueTicket&& other) noexcept = default;
  QueueTicket& operator=(QueueTicket&&) = delete;
  QueueTicket(const QueueTicket&) = delete;
  QueueTicket& operator=(const QueueTicket&) = delete;
  ~QueueTicket();  ///< leaves the queue

  /// Whether nobody who came earlier waits. Once true it stays true: later ones get higher numbers.
  [[nodiscard]] Result<bool> first();

 private:
  std::filesystem::path directory_;
  std::uint64_t number_ = 0;
  std::optional<std::uint64_t> predecessor_;  // the last before it that waited when last looked at
  UniqueFd file_;
};

/// The slots and the queue of one directory, shared by every process that names it:
///
///   slot-<i>.lock      locked: taken
///   ticket-<n>.lock    locked: its owner waits, behind every lower one
///   queue.lock         held while a number is drawn
///
/// All locks are flock(2), which the kernel drops with their owner, however it died; what a dead
/// owner leaves is an unlocked file, and the next to come removes it. Who may write to the
/// directory may read its files, which is enough to lock them; nobody else may. The directory must
/// be on a local file system. Nothing here blocks.
class SlotDirectory {
 public:
  SlotDirectory(std::filesystem::path directory, int slots);

  struct Busy {};  ///< somebody else is drawing a number: ask again in a moment
  struct Full {
    int waiting = 0;
  };
  using Entry =
      std::variant<UniqueFd, QueueTicket, Busy, Full>;  ///< a slot, or a place, or neither

  enum class Want { SlotOrTicket, Ticket };
  /// A slot where one is free and nobody waits for it, else a ticket, unless `queue` wait already.
  /// Fails where a file cannot be made or locked, or no number is left above the last ticket.
  [[nodiscard]] Result<Entry> enter(Want want, int queue) const;

  /// For the first in the queue. Nothing: all slots are taken.
  [[nodiscard]] Result<std::optional<UniqueFd>> take_slot() const;

 private:
  const std::filesystem::path directory_;
  const int slots_;
};

}  // namespace keisei::guard
