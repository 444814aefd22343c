#include "guard/record.h"

#include <nlohmann/json.hpp>

#include "base/clock.h"

namespace keisei::guard {
namespace {

using Json = nlohmann::ordered_json;

template <typename Value>
Json optional_json(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json bytes_json(const std::optional<Bytes>& bytes) {
  return bytes ? Json(bytes->count) : Json(nullptr);
}

Json metric_json(const MetricVerdict& metric) {
  return {{"value", optional_json(metric.value)},
          {"limit", metric.limit},
          {"verdict", to_string(metric.verdict)}};
}

Json sla_json(const SlaReport& sla) {
  return {{"evaluation_latency_ms", metric_json(sla.evaluation_latency_ms)},
          {"memory_overhead_mb", metric_json(sla.memory_overhead_mb)},
          {"training_impact_percent", metric_json(sla.training_impact_percent)},
          {"gpu_utilization_percent", metric_json(sla.gpu_utilization_percent)}};
}

Json limits_json(const EvaluationLimits& limits) {
  Json json = {{"max_concurrent", limits.max_concurrent},
               {"timeout_s", seconds(limits.timeout)},
               {"memory_mb", to_megabytes(limits.memory)},
               {"cpu_percent", optional_json(limits.cpu_percent)},
               {"processes", optional_json(limits.processes)},
               {"file_mb", nullptr},
               {"queue", limits.queue}};
  if (limits.file_size) {
    json["file_mb"] = to_megabytes(*limits.file_size);
  }
  return json;
}

Json gpu_json(const std::optional<GpuRecord>& gpu) {
  if (!gpu) {
    return nullptr;
  }
  Json json = {{"utilization_percent", gpu->utilization_percent},
               {"device_wide", gpu->device_wide},
               {"own_percent", optional_json(gpu->own_percent)},
               {"complete", gpu->complete},
               {"memory_bytes", nullptr}};
  if (gpu->memory) {
    json["memory_bytes"] = gpu->memory->count;
  }
  if (gpu->device_wide) {
    json["note"] =
        "the utilization is everybody's on that device: it can meet the limit, not violate it";
  }
  return json;
}

/// In percent of the training.
Json impact_json(const std::optional<ImpactEstimate>& impact) {
  if (!impact) {
    return {{"estimate", nullptr}, {"bound", nullptr}, {"verdict", "NotMeasured"}};
  }
  return {{"estimate", 100 * impact->amortised.estimate},
          {"bound", 100 * impact->amortised.upper},
          {"verdict", to_string(impact->verdict)},
          {"reason", impact->reason},
          {"while_running",
           {{"estimate", 100 * impact->while_running.estimate},
            {"bound", 100 * impact->while_running.upper}}},
          {"training_s", impact->training_s},
          {"running_s", impact->running_s},
          {"blocks", impact->blocks}};
}

Json cgroup_json(const std::optional<CgroupRecord>& cgroup) {
  if (!cgroup) {
    return nullptr;
  }
  Json json = {{"memory_peak_bytes", nullptr},
               {"oom_kills", cgroup->oom_kills},
               {"refused_tasks", cgroup->refused_tasks},
               {"throttled_ms", cgroup->throttled_ms}};
  if (cgroup->memory_peak) {
    json["memory_peak_bytes"] = cgroup->memory_peak->count;
  }
  return json;
}

Json breach_json(const std::optional<Breach>& breach) {
  if (!breach) {
    return nullptr;
  }
  return {{"metric", breach->metric}, {"value", breach->value}, {"limit", breach->limit}};
}

Json degradation_json(const std::vector<DegradationStep>& steps) {
  Json json = Json::array();
  for (const DegradationStep& step : steps) {
    json.push_back(
        {{"level", to_string(step.level)}, {"cause", step.cause}, {"waited_ms", step.waited_ms}});
  }
  return json;
}

}  // namespace

std::string_view to_string(Profile profile) {
  switch (profile) {
    case Profile::Worker:
      return "worker";
    case Profile::Command:
      return "command";
  }
  return "";
}

std::string to_json(const GuardRecord& record) {
  Json json = {
      {"outcome", to_string(record.outcome)},
      {"cause", record.cause},
      {"exit",
       {{"code", optional_json(record.exit.code)}, {"signal", optional_json(record.exit.signal)}}},
      {"breach", breach_json(record.breach)},
      {"latency_ms", record.latency_ms},
      {"queue_ms", record.queue_ms},
      {"paused_ms", record.paused_ms},
      {"memory_warning_ms", optional_json(record.memory_warning_ms)},
      {"timeout_warning_ms", optional_json(record.timeout_warning_ms)},
      {"kill_ms", optional_json(record.kill_ms)},
      {"peak_memory_bytes", record.peak_memory.count},
      {"cpu_seconds", record.cpu_seconds},
      {"io_read_bytes", bytes_json(record.io_read)},
      {"io_write_bytes", bytes_json(record.io_written)},
      {"max_processes", record.max_processes},
      {"max_threads", record.max_threads},
      {"gpu", gpu_json(record.gpu)},
      {"cgroup", cgroup_json(record.cgroup)},
      {"training_impact", impact_json(record.impact)},
      {"sla", sla_json(record.sla)},
      {"profile", to_string(record.profile)},
      {"tier", {{"enforced", record.tier.enforced}, {"not_enforced", record.tier.not_enforced}}},
      {"limits", limits_json(record.limits)},
      {"degradation", degradation_json(record.degradation)},
      {"enforcement", record.enforcement}};
  if (record.certificate) {
    json["impact_certificate"] = Json::parse(to_json(*record.certificate));
  }
  // Text that came from a command may not be UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace keisei::guard
