#include "guard/limits.h"

#include <string_view>

#include "base/clock.h"
#include "os/procfs.h"

namespace keisei::guard {
namespace {

Result<void> at_least_one(int value, std::string_view name, std::string_view advice) {
  if (value < 1) {
    return usage_error("the limit {} is {}, but must be 1 or more; {}", name, value, advice);
  }
  return {};
}

Result<void> positive(double value, std::string_view name, std::string_view advice) {
  if (!(value > 0)) {
    return usage_error("the limit {} is {:g}, but must be above 0; {}", name, value, advice);
  }
  return {};
}

}  // namespace

Result<void> validate(const EvaluationLimits& limits, Bytes host_memory) {
  KEISEI_TRY_VOID(at_least_one(limits.max_concurrent, "max_concurrent", "4 is the default"));
  KEISEI_TRY_VOID(positive(seconds(limits.timeout), "timeout", "300s is the default"));
  KEISEI_TRY_VOID(
      positive(static_cast<double>(limits.memory.count), "memory", "500MB is the default"));
  if (limits.memory > host_memory) {
    return usage_error(
        "the memory limit of {} is above this host's memory of {} and would protect nothing; set "
        "it lower",
        to_string(limits.memory), to_string(host_memory));
  }
  if (limits.cpu_percent) {
    KEISEI_TRY_VOID(positive(*limits.cpu_percent, "cpu", "100% is one core; leave it out for all"));
  }
  if (limits.processes) {
    KEISEI_TRY_VOID(at_least_one(*limits.processes, "processes", "leave it out for the default"));
  }
  if (limits.file_size) {
    KEISEI_TRY_VOID(positive(static_cast<double>(limits.file_size->count), "file size",
                             "leave it out for the default"));
  }
  if (limits.queue < 0) {
    return usage_error("the limit queue is {}, but must be 0 (never wait) or more", limits.queue);
  }
  return {};
}

Result<Bytes> host_memory() {
  const std::optional<std::string> text = os::read_proc("/proc/meminfo");
  const std::optional<Bytes> total = text ? os::parse_mem_total(*text) : std::nullopt;
  if (!total) {
    return fail("/proc/meminfo does not tell MemTotal; is /proc mounted?");
  }
  return *total;
}

}  // namespace keisei::guard
