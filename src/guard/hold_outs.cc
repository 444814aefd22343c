#include "guard/hold_outs.h"

#include <algorithm>
#include <map>

#include "guard/training_impact.h"

namespace keisei::guard {
namespace {

using telemetry::FrameRecord;

constexpr std::size_t kMostBlocksOfAFrame = 100;  // many more than are made without one

struct SeenBlock {
  std::int64_t slots = BlockPlan{}.slots;  // as it was made: it may have ended earlier
  std::map<std::int64_t, bool> held = {};  // by slot
};

std::map<std::int64_t, SeenBlock> blocks_of(std::span<const FrameRecord> frames) {
  std::map<std::int64_t, SeenBlock> blocks;
  for (const FrameRecord& frame : frames) {
    if (frame.block != 0) {
      SeenBlock& block = blocks[frame.block];
      block.slots = std::max(block.slots, frame.slots);
      block.held[frame.slot] = frame.setting == setting::kOff;
    }
  }
  return blocks;
}

}  // namespace

HoldOutsCheck check_hold_outs(std::uint64_t seed, std::span<const FrameRecord> frames) {
  const std::map<std::int64_t, SeenBlock> blocks = blocks_of(frames);
  HoldOutsCheck check{.blocks = static_cast<std::int64_t>(blocks.size())};
  HoldOuts hold_outs(seed);
  std::int64_t drawn = 0;
  const auto most = static_cast<std::int64_t>(kMostBlocksOfAFrame * (frames.size() + 1));
  for (const auto& [id, block] : blocks) {
    if (id < 1 || id > most || block.slots > BlockPlan::kMostSlots) {  // nobody has drawn it
      ++check.others;
      continue;
    }
    while (++drawn < id) {
      (void)hold_outs.next(BlockPlan{}.slots);
    }
    const std::int64_t hold_out = hold_outs.next(static_cast<int>(block.slots));
    const bool agrees = std::ranges::all_of(
        block.held, [&](const auto& slot) { return slot.second == (slot.first == hold_out); });
    check.others += agrees ? 0 : 1;
  }
  return check;
}

}  // namespace keisei::guard
