#include "guard/record.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "guard/resource_monitor.h"

namespace keisei::guard {
namespace {

TEST(GuardRecord, HasTheKeysOfTheContract) {
  GuardRecord record;
  record.outcome = Outcome::OverMemory;
  record.exit.signal = 9;
  record.breach = Breach{.outcome = Outcome::OverMemory,
                         .metric = "memory_mb",
                         .value = 512,
                         .limit = 500,
                         .why = "too much"};
  record.sla = EvaluationPerformanceSLA{}.judge({});
  const auto json = nlohmann::json::parse(to_json(record));
  for (const char* key :
       {"outcome", "exit", "latency_ms", "queue_ms", "paused_ms", "memory_warning_ms",
        "timeout_warning_ms", "io_read_bytes", "io_write_bytes", "peak_memory_bytes", "cpu_seconds",
        "max_processes", "gpu", "training_impact", "sla", "profile", "tier"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["outcome"], "OverMemory");
  EXPECT_EQ(json["exit"]["signal"], 9);
  EXPECT_TRUE(json["exit"]["code"].is_null());
  EXPECT_TRUE(json["gpu"].is_null());
  EXPECT_EQ(json["training_impact"]["verdict"], "NotMeasured");
  EXPECT_EQ(json["breach"]["metric"], "memory_mb");
}

TEST(GuardRecord, SaysWhatIsKnownOfTheGpuAndNullWhatIsNot) {
  GuardRecord record;
  record.gpu = GpuRecord{.utilization_percent = 42, .device_wide = true, .complete = false};
  auto gpu = nlohmann::json::parse(to_json(record))["gpu"];
  EXPECT_EQ(gpu["utilization_percent"], 42);
  EXPECT_EQ(gpu["device_wide"], true);
  EXPECT_EQ(gpu["complete"], false);
  EXPECT_TRUE(gpu["memory_bytes"].is_null());
  record.gpu->memory = megabytes(7);
  gpu = nlohmann::json::parse(to_json(record))["gpu"];
  EXPECT_EQ(gpu["memory_bytes"], 7'000'000);
}

TEST(GuardRecord, SurvivesTextThatIsNotUtf8) {
  GuardRecord record;
  record.cause = "cannot start \xff\xfe";
  EXPECT_TRUE(nlohmann::json::accept(to_json(record)));
}

}  // namespace
}  // namespace keisei::guard
