#include "guard/gpu_account.h"

#include <algorithm>

namespace keisei::guard {
namespace {

constexpr std::size_t kMostProcesses = 4096;

}  // namespace

void GpuAccount::note(const std::optional<os::GpuReading>& reading,
                      const std::vector<pid_t>& members, MonotonicTime now) {
  since_ = since_.value_or(now);
  tree_.insert(members.begin(), members.end());
  if (tree_.size() > kMostProcesses) {  // more than one question can hold
    complete_ = false;
    tree_.clear();
  }
  if (!reading || reading->asked_at < *since_ || reading->asked_at == last_) {
    return;
  }
  last_ = reading->asked_at;
  const os::GpuShare share = os::share_of(*reading, tree_);
  tree_.clear();
  complete_ = complete_ && share.complete;
  if (!share.utilization_percent) {
    return;
  }
  if (!record_ || *share.utilization_percent > record_->utilization_percent) {
    record_ = record_.value_or(GpuRecord{});
    record_->utilization_percent = *share.utilization_percent;
    record_->device_wide = share.device_wide;
  }
  record_->own_percent = std::max(record_->own_percent, share.own_percent);
  if (share.memory) {
    record_->memory = std::max(record_->memory.value_or(Bytes{}), *share.memory);
  }
}

std::optional<GpuRecord> GpuAccount::result() const {
  std::optional<GpuRecord> result = record_;
  if (result) {
    result->complete = complete_;
  }
  return result;
}

}  // namespace keisei::guard
