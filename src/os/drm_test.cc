#include "os/drm.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace keisei::os {
namespace {

using namespace std::chrono_literals;

constexpr const char* kAmdgpu =
    "pos:\t0\nflags:\t02100002\nmnt_id:\t27\nino:\t1049\n"
    "drm-driver:\tamdgpu\ndrm-client-id:\t42\ndrm-pdev:\t0000:03:00.0\npasid:\t32770\n"
    "drm-memory-vram:\t2048 KiB\ndrm-memory-gtt: \t18 KiB\ndrm-memory-cpu: \t0 KiB\n"
    "drm-engine-gfx:\t1500000000 ns\ndrm-engine-dec:\t0 ns\ndrm-engine-capacity-dec:\t2\n";
constexpr const char* kI915 =
    "drm-driver: i915\ndrm-client-id: 7\ndrm-pdev: 0000:00:02.0\n"
    "drm-total-system0: 125 MiB\ndrm-shared-system0: 16 MiB\n"
    "drm-engine-render: 9288864723 ns\ndrm-engine-video: 0 ns\ndrm-engine-capacity-video: 2\n";
constexpr const char* kXe =
    "drm-driver:\txe\ndrm-client-id:\t9\ndrm-pdev:\t0000:00:02.0\n"
    "drm-resident-vram0:\t3 MiB\ndrm-memory-vram0:\t5 MiB\n"
    "drm-cycles-rcs:\t28257900\ndrm-total-cycles-rcs:\t7655183225\n";

TEST(DrmFdinfo, ReadsWhatAmdgpuWrites) {
  const auto client = parse_drm_fdinfo(kAmdgpu);
  ASSERT_TRUE(client);
  EXPECT_EQ(client->device, "0000:03:00.0");
  EXPECT_EQ(client->id, 42U);
  ASSERT_EQ(client->engines.size(), 2U);
  EXPECT_EQ(client->engines[0].name, "gfx");
  EXPECT_EQ(client->engines[0].busy, 1'500'000'000U);
  EXPECT_EQ(client->engines[1].capacity, 2U);
  EXPECT_EQ(client->memory, Bytes{2048 * 1024});
}

TEST(DrmFdinfo, ReadsWhatI915AndXeWrite) {
  const auto i915 = parse_drm_fdinfo(kI915);
  ASSERT_TRUE(i915);
  EXPECT_EQ(i915->engines[0].busy, 9'288'864'723U);
  EXPECT_EQ(i915->memory, std::nullopt);  // it has none of its own
  const auto xe = parse_drm_fdinfo(kXe);
  ASSERT_TRUE(xe && xe->engines.size() == 1);
  EXPECT_EQ(xe->engines[0].busy, 28'257'900U);
  EXPECT_EQ(xe->engines[0].total, 7'655'183'225U);
  EXPECT_EQ(xe->memory, Bytes{3 * 1024 * 1024});  // resident is exact
}

TEST(DrmFdinfo, IsNothingWhereAWordIsMissingOrBroken) {
  EXPECT_FALSE(parse_drm_fdinfo("pos:\t0\nflags:\t02\n"));
  EXPECT_FALSE(parse_drm_fdinfo("drm-client-id: 1\ndrm-engine-gfx: 1 ns\n"));
  EXPECT_FALSE(parse_drm_fdinfo("drm-pdev: a\ndrm-engine-gfx: 1 ns\n"));
  EXPECT_FALSE(parse_drm_fdinfo("drm-pdev: a\ndrm-client-id: 1\n"));  // an old kernel's
  const std::string start = "drm-pdev: a\ndrm-client-id: 1\n";
  EXPECT_TRUE(parse_drm_fdinfo(start + "drm-engine-gfx: 1 ns\n"));
  for (const char* bad :
       {"drm-engine-gfx: -1 ns\n", "drm-engine-gfx: 1 ms\n", "drm-engine-gfx: x\n",
        "drm-engine-gfx: 99999999999999999999 ns\n", "drm-engine-gfx: 1 ns\ndrm-client-id: z\n",
        "drm-engine-gfx: 1 ns\ndrm-engine-capacity-gfx: 0\n",
        "drm-engine-gfx: 1 ns\ndrm-memory-vram: 5 parsecs\n",
        "drm-engine-gfx: 1 ns\ndrm-memory-vram: 9999999999999999 KiB\n"}) {
    EXPECT_FALSE(parse_drm_fdinfo(start + bad)) << bad;
  }
}

class DrmAccountTest : public testing::Test {
 protected:
  static SeenDrmClient seen(pid_t pid, std::chrono::nanoseconds at, std::uint64_t busy_ns) {
    return {.pid = pid,
            .process_age = 1s,
            .at = MonotonicTime{at},
            .client = {.device = "card", .id = 1, .engines = {{.name = "gfx", .busy = busy_ns}}}};
  }
  std::optional<double> advance(const std::vector<SeenDrmClient>& clients) {
    const DrmAccount::Uses uses = account_.advance(clients);
    const auto device = uses.find("card");
    if (device == uses.end() || !device->second) {
      return std::nullopt;
    }
    return device->second->empty() ? 0 : device->second->front().percent;
  }
  DrmAccount account_;
};

TEST_F(DrmAccountTest, DividesWorkByTheTimeThatPassed) {
  (void)advance({seen(7, 10s, 100'000'000)});
  EXPECT_EQ(advance({seen(7, 12s, 600'000'000)}), 25);
  EXPECT_EQ(advance({seen(7, 13s, 600'000'000)}), 0);
}

TEST_F(DrmAccountTest, AClientSeenForTheFirstTimeWorkedSinceItsProcessBegan) {
  EXPECT_EQ(advance({seen(7, 10s, 400'000'000)}), 40);
}

TEST_F(DrmAccountTest, WhatCannotBeIsUnknown) {
  EXPECT_EQ(advance({seen(7, 10s, 3'000'000'000)}), std::nullopt);  // 3 s within a life of 1 s
  EXPECT_EQ(advance({seen(7, 11s, 2'000'000'000)}), std::nullopt);  // it shrank
  EXPECT_EQ(advance({seen(7, 12s, 4'000'000'000)}), std::nullopt);  // 2 s within 1 s
  EXPECT_EQ(advance({seen(7, 13s, 5'020'000'000)}), 100);           // the clocks are not one
}

TEST_F(DrmAccountTest, SeveralEnginesOfAKindShareTheWork) {
  SeenDrmClient one = seen(7, 10s, 0);
  one.client.engines[0].capacity = 2;
  (void)advance({one});
  one.at += 1s;
  one.client.engines[0].busy = 1'000'000'000;
  EXPECT_EQ(advance({one}), 50);
}

TEST_F(DrmAccountTest, CyclesAreHeldAgainstCycles) {
  SeenDrmClient one = seen(7, 10s, 1000);
  one.client.engines[0].total = 100'000;
  EXPECT_EQ(advance({one}), 0);  // no beginning to count from
  one.at += 1s;
  one.client.engines[0].busy += 30;
  *one.client.engines[0].total += 100;
  EXPECT_EQ(advance({one}), 30);
}

TEST(DrmClients, AreCountedOnceWhereSeveralProcessesHoldThem) {
  SeenDrmClient one{.pid = 7, .at = MonotonicTime{}, .client = {.device = "a", .id = 1}};
  SeenDrmClient same = one;
  same.pid = 8;
  SeenDrmClient other = one;
  other.client.device = "b";
  const auto once = each_client_once({one, same, other});
  ASSERT_EQ(once.size(), 2U);
  EXPECT_EQ(once[0].pid, 7);
  EXPECT_EQ(once[1].client.device, "b");
}

/// A sysfs and a proc of our own.
class DrmProbeTest : public testing::Test {
 protected:
  DrmProbeTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "keisei-drm-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    add_card("card0", "0000:03:00.0", "amdgpu");
    std::filesystem::create_directories(sysfs() / "card0-DP-1");
    add_card("card1", "0000:01:00.0", "nvidia");  // NVML's
    add_card("card2", "0000:00:01.0", "virtio-pci");
    write(root_ / "devices/0000:03:00.0/gpu_busy_percent", "37\n");
    add_process(7);
  }
  ~DrmProbeTest() override { std::filesystem::remove_all(root_); }

  [[nodiscard]] std::filesystem::path sysfs() const { return root_ / "drm"; }
  [[nodiscard]] std::filesystem::path process(pid_t pid) const {
    return root_ / "proc" / std::to_string(pid);
  }
  static void write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path) << text;
  }
  void add_card(const std::string& name, const std::string& pci, const std::string& driver) {
    std::filesystem::create_directories(sysfs() / name);
    std::filesystem::create_directories(root_ / "devices" / pci);
    std::filesystem::create_directories(root_ / "drivers" / driver);
    std::filesystem::create_symlink(root_ / "devices" / pci, sysfs() / name / "device");
    std::filesystem::create_symlink(root_ / "drivers" / driver, root_ / "devices" / pci / "driver");
  }
  void add_process(pid_t pid) {
    std::filesystem::create_directories(process(pid) / "fd");
    std::filesystem::create_directories(process(pid) / "fdinfo");
    write(process(pid) / "stat",
          "7 (x) S 1 7 7 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 1 0 0 0 0 0 0 0 0 0 0\n");
  }
  void add_descriptor(pid_t pid, const char* number, const char* target, const std::string& info) {
    std::filesystem::create_symlink(target, process(pid) / "fd" / number);
    write(process(pid) / "fdinfo" / number, info);
  }
  GpuDevice sample() {
    DrmProbe probe(sysfs(), root_ / "proc");
    const std::array<pid_t, 2> asked = {7, 4711};  // the second has ended
    const std::vector<GpuDevice> devices = probe.sample(asked);
    EXPECT_EQ(devices.size(), 1U);
    return devices.empty() ? GpuDevice{} : devices.front();
  }

  std::filesystem::path root_;
};

TEST_F(DrmProbeTest, FindsTheCardsWhoseDriversTell) {
  const std::vector<DrmCard> cards = list_drm_cards(sysfs());
  ASSERT_EQ(cards.size(), 1U);
  EXPECT_EQ(cards[0].device, "0000:03:00.0");
  EXPECT_EQ(cards[0].driver, "amdgpu");
  EXPECT_TRUE(list_drm_cards(root_ / "nowhere").empty());
}

TEST_F(DrmProbeTest, AProcessWithoutAGpuUsesNothing) {
  add_descriptor(7, "3", "/dev/null", "pos: 0\n");
  const GpuDevice device = sample();
  EXPECT_EQ(device.busy_percent, 37);
  ASSERT_TRUE(device.uses && device.memory);
  EXPECT_TRUE(device.uses->empty() && device.memory->empty());
}

TEST_F(DrmProbeTest, TellsWhatAProcessUses) {
  add_descriptor(7, "5", "/dev/dri/renderD128", kAmdgpu);
  add_descriptor(7, "6", "/dev/dri/renderD128", kAmdgpu);  // a duplicate
  const GpuDevice device = sample();
  ASSERT_TRUE(device.uses && device.memory);
  EXPECT_EQ(device.uses->size(), 2U);  // engines
  ASSERT_EQ(device.memory->size(), 1U);
  EXPECT_EQ((*device.memory)[0].bytes, Bytes{2048 * 1024});
}

TEST_F(DrmProbeTest, ComputeQueuesAreUnknownAndNotUnused) {
  add_descriptor(7, "5", "/dev/kfd", "pos: 0\n");
  const GpuDevice device = sample();
  EXPECT_FALSE(device.uses || device.memory);
  EXPECT_EQ(device.busy_percent, 37);
  EXPECT_NE(device.note.find("/dev/kfd"), std::string::npos);
}

TEST_F(DrmProbeTest, ADescriptorThatSaysNothingIsUnknownAndNotUnused) {
  add_descriptor(7, "5", "/dev/dri/card0", "pos: 0\n");
  EXPECT_FALSE(sample().uses);
}

TEST_F(DrmProbeTest, ABusyFigureOutOfRangeIsUnknown) {
  for (const char* text : {"300\n", "-1\n", "", "busy\n"}) {
    write(root_ / "devices/0000:03:00.0/gpu_busy_percent", text);
    EXPECT_FALSE(sample().busy_percent) << text;
  }
}

}  // namespace
}  // namespace keisei::os
