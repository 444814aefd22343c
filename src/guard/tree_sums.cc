#include "guard/tree_sums.h"

#include <algorithm>
#include <map>

namespace keisei::guard {
namespace {

constexpr std::int64_t kHardlyShared = 98;  // percent of the cheap sum: no doubt that it is true

}  // namespace

AloneSum sum_alone(os::ProcessView& view, const MembersBySize& members, Bytes limit) {
  AloneSum alone;
  Bytes all;
  for (const auto& [size, pid] : members) {
    all = all + size;
  }
  Bytes read;
  for (const auto& [size, pid] : members) {
    if (const std::optional<os::AnonymousShare> share = view.anonymous_share(pid)) {
      alone.of_those_read = alone.of_those_read + std::min(size, share->alone());
    }
    read = read + size;
    alone.above = alone.of_those_read > limit;
    if (alone.above) {
      const double of_it =
          static_cast<double>(alone.of_those_read.count) / static_cast<double>(read.count);
      alone.extrapolated = {static_cast<std::int64_t>(of_it * static_cast<double>(all.count))};
      return alone;
    }
  }
  return alone;
}

ExactSum sum_exactly(os::ProcessView& view, const MembersBySize& members,
                     const ExactSumInput& input) {
  ExactSum result = {.sum = input.scratch_used};
  Bytes told = input.scratch_used;     // of it, by those that told what they share
  Bytes seen = input.scratch_used;     // what the cheap sum has for these
  std::map<os::FileId, Bytes> mapped;  // part of each memory file that was counted
  for (const auto& [size, pid] : members) {
    const auto mappings = view.mappings(pid);
    if (!mappings) {  // what it shares is unknown: all of it counts as its own
      result.sum = result.sum + (input.kernel_holds_memory ? Bytes{} : size);
      result.mappings_hidden |= !input.kernel_holds_memory;
      continue;
    }
    const Bytes before = result.sum;
    for (const os::Mapping& mapping : *mappings) {
      const bool in_scratch = input.scratch && mapping.file.device == input.scratch->device;
      const bool file = mapping.file.inode != 0 && (!mapping.shared_memory || in_scratch);
      if (file || input.handed_in.contains(mapping.file)) {
        result.sum = result.sum + mapping.anonymous;
      } else {
        result.sum = result.sum + mapping.proportional;
        mapped[mapping.file] = mapped[mapping.file] + mapping.proportional;
      }
    }
    told = told + result.sum - before;
    seen = seen + size;
    if (told > input.limit && told.count > seen.count / 100 * kHardlyShared) {
      result.sum = std::max(result.sum, input.cheap);
      result.sure = true;
      return result;
    }
  }
  for (const std::vector<os::MemoryFile>* files : {&input.open, &input.unopened}) {
    for (const os::MemoryFile& file : *files) {
      result.sum = result.sum + std::max(Bytes{}, file.allocated - mapped[file.file]);
    }
  }
  return result;
}

}  // namespace keisei::guard
