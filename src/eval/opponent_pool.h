#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "eval/request.h"
#include "match/player.h"
#include "net/snapshot.h"

namespace keisei::eval {

/// An opponent that is ready to play: what the request says of it, and the weights it plays with.
struct Opponent {
  OpponentRequest request;                // its snapshot_fd counts up from kFirstSnapshotFd + 1
  std::optional<net::Snapshot> snapshot;  // of a Checkpoint
};

/// Opens what the specs name, in their order. Two with one name get a number behind it. Fails where
/// a checkpoint cannot be read: an opponent that is asked for and not there is never replaced by
/// another.
[[nodiscard]] Result<std::vector<Opponent>> open_opponents(
    const std::vector<match::PlayerSpec>& specs);

}  // namespace keisei::eval
