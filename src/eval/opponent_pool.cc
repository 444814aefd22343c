#include "eval/opponent_pool.h"

#include <algorithm>

namespace keisei::eval {
namespace {

std::string unique_name(const std::string& name, const std::vector<Opponent>& taken) {
  const auto is_taken = [&taken](const std::string& candidate) {
    return std::ranges::any_of(taken, [&candidate](const Opponent& opponent) {
      return opponent.request.name == candidate;
    });
  };
  std::string candidate = name;
  for (int number = 2; is_taken(candidate); ++number) {
    candidate = fmt::format("{} ({})", name, number);
  }
  return candidate;
}

}  // namespace

Result<std::vector<Opponent>> open_opponents(const std::vector<match::PlayerSpec>& specs) {
  std::vector<Opponent> opponents;
  int next_fd = kFirstSnapshotFd + 1;
  for (const match::PlayerSpec& spec : specs) {
    Opponent opponent{.request = {.name = unique_name(match::display_name(spec), opponents),
                                  .kind = spec.kind,
                                  .snapshot_fd = -1},
                      .snapshot = std::nullopt};
    if (spec.kind == match::PlayerKind::Checkpoint) {
      auto snapshot = net::Snapshot::from_file(spec.path);
      if (!snapshot) {
        return with_context(std::move(snapshot).error(), "opening an opponent");
      }
      opponent.snapshot = std::move(snapshot).value();
      opponent.request.snapshot_fd = next_fd++;
    }
    opponents.push_back(std::move(opponent));
  }
  return opponents;
}

}  // namespace keisei::eval
