#include "net/learner.h"

#include <algorithm>

namespace keisei::net {

void MicroBatch::clear() {
  observations.clear();
  legal.clear();
  legal_counts.clear();
  chosen.clear();
  old_log_probs.clear();
  advantages.clear();
  wdl_targets.clear();
}

void LossSums::add(const LossSums& other) {
  policy += other.policy;
  value += other.value;
  entropy += other.entropy;
  kl += other.kl;
  clipped += other.clipped;
  farthest = std::max(farthest, other.farthest);
  samples += other.samples;
}

}  // namespace keisei::net
