#include "os/gpu_reading.h"

#include <gtest/gtest.h>

namespace keisei::os {
namespace {

GpuReading reading(std::vector<GpuDevice> devices) {
  return {.asked_at = MonotonicTime{}, .devices = std::move(devices)};
}

GpuDevice device(std::optional<std::vector<GpuUse>> uses, std::optional<double> busy) {
  return {.name = "a", .busy_percent = busy, .uses = std::move(uses)};
}

TEST(GpuShare, SumsTheTreesProcessesAndNobodyElses) {
  const auto uses = std::vector<GpuUse>{{7, 20, "sm"}, {8, 30, "sm"}, {9, 45, "sm"}};
  const GpuShare share = share_of(reading({device(uses, 95)}), {7, 8});
  EXPECT_EQ(share.utilization_percent, 50);
  EXPECT_FALSE(share.device_wide);
  EXPECT_TRUE(share.complete);
}

TEST(GpuShare, EnginesRunSideBySide) {
  const auto uses = std::vector<GpuUse>{{7, 20, "gfx"}, {7, 60, "dec"}, {8, 30, "gfx"}};
  EXPECT_EQ(share_of(reading({device(uses, {})}), {7, 8}).utilization_percent, 60);
}

TEST(GpuShare, IsTheWholeDevicesWhereProcessesAreUnknown) {
  const GpuShare share = share_of(reading({device({}, 95)}), {7});
  EXPECT_EQ(share.utilization_percent, 95);
  EXPECT_TRUE(share.device_wide);
  EXPECT_TRUE(share.complete);
}

TEST(GpuShare, ADeviceThatTellsNothingMakesItIncomplete) {
  const GpuShare share =
      share_of(reading({device(std::vector<GpuUse>{}, {}), device({}, {})}), {7});
  EXPECT_EQ(share.utilization_percent, 0);
  EXPECT_FALSE(share.complete);
  EXPECT_EQ(share_of(reading({}), {7}).utilization_percent, std::nullopt);
  EXPECT_FALSE(share_of(reading({}), {7}).complete);
}

TEST(GpuShare, RoundedSharesDoNotPassTheWhole) {
  const auto uses = std::vector<GpuUse>{{7, 60, "sm"}, {8, 41, "sm"}};
  EXPECT_EQ(share_of(reading({device(uses, {})}), {7, 8}).utilization_percent, 100);
}

TEST(GpuShare, MemoryIsUnknownWhereOneDeviceDoesNotTell) {
  GpuDevice tells = device({}, {});
  tells.memory = std::vector<GpuMemory>{{7, {100}}, {8, {50}}, {9, {1}}};
  EXPECT_EQ(share_of(reading({tells}), {7, 8}).memory, Bytes{150});
  EXPECT_EQ(share_of(reading({tells, device({}, {})}), {7}).memory, std::nullopt);
}

TEST(GpuAnswer, SurvivesItsJourney) {
  GpuAnswer answer;
  answer.devices = {{.name = "Some\tdevice\n",
                     .busy_percent = 12.5,
                     .uses = {{{7, 3.25, "sm"}}},
                     .memory = {{{8, {123456789012}}}},
                     .note = "a note"},
                    {.name = "", .note = ""}};
  answer.note = "of all";
  const auto parsed = parse_gpu_answer(encode(answer));
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->devices.size(), 2U);
  const GpuDevice& first = parsed->devices[0];
  EXPECT_EQ(first.name, "Some?device?");
  EXPECT_EQ(first.busy_percent, 12.5);
  ASSERT_TRUE(first.uses && first.uses->size() == 1);
  EXPECT_EQ((*first.uses)[0].pid, 7);
  EXPECT_DOUBLE_EQ((*first.uses)[0].percent, 3.25);
  EXPECT_EQ((*first.uses)[0].engine, "sm");
  ASSERT_TRUE(first.memory && first.memory->size() == 1);
  EXPECT_EQ((*first.memory)[0].bytes, Bytes{123456789012});
  EXPECT_EQ(first.note, "a note");
  EXPECT_FALSE(parsed->devices[1].busy_percent || parsed->devices[1].uses ||
               parsed->devices[1].memory);
  EXPECT_EQ(parsed->note, "of all");
}

TEST(GpuAnswer, TooLongAnAnswerLosesItsProcessesButNotItsDevices) {
  GpuAnswer answer;
  answer.devices = {
      {.name = "a", .busy_percent = 5.0, .uses = std::vector<GpuUse>(9000, {7, 1, "sm"})}};
  const std::string text = encode(answer);
  EXPECT_LE(text.size(), kGpuAnswerLimit);
  const auto parsed = parse_gpu_answer(text);
  ASSERT_TRUE(parsed && parsed->devices.size() == 1);
  EXPECT_FALSE(parsed->devices[0].uses);
  EXPECT_EQ(parsed->devices[0].busy_percent, 5);
}

TEST(GpuAnswer, RefusesWhatNobodySays) {
  const std::string head = "keisei-gpu\t1\n";
  const std::string device = "device\t5\t1\t1\ta\t\n";
  EXPECT_TRUE(parse_gpu_answer(head + device + "use\t7\t100\tsm\nend\n"));
  for (const std::string& body :
       {std::string("device\t101\t1\t1\ta\t\n"), std::string("device\t-1\t1\t1\ta\t\n"),
        std::string("device\tnan\t1\t1\ta\t\n"), std::string("device\t5\t2\t1\ta\t\n"),
        std::string("device\t5\t1\t1\ta\n"), std::string("use\t7\t5\tsm\n"),
        device + "use\t0\t5\tsm\n", device + "use\t7\t300\tsm\n", device + "use\t7\tinf\tsm\n",
        device + "use\t-7\t5\tsm\n", device + "memory\t7\t-1\n", device + "memory\t7\t1e3\n",
        device + "memory\t7\t99999999999999999999\n",
        std::string("device\t5\t0\t0\ta\t\nuse\t7\t5\tsm\n"), std::string("nonsense\n")}) {
    EXPECT_FALSE(parse_gpu_answer(head + body + "end\n")) << body;
  }
  EXPECT_FALSE(parse_gpu_answer(""));
  EXPECT_FALSE(parse_gpu_answer(head + device));            // cut
  EXPECT_FALSE(parse_gpu_answer(head + device + "end"));    // cut
  EXPECT_FALSE(parse_gpu_answer(head + "end\n" + device));  // more
  EXPECT_FALSE(parse_gpu_answer("keisei-gpu\t2\n" + device + "end\n"));
}

}  // namespace
}  // namespace keisei::os
