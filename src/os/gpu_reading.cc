#include "os/gpu_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>

#include "base/printable.h"

namespace keisei::os {
namespace {

constexpr std::string_view kHead = "keisei-gpu\t1";
constexpr std::string_view kTail = "end";
constexpr std::string_view kUnknown = "-";
constexpr std::size_t kMostDevices = 256;
constexpr std::size_t kLongestName = 100;
constexpr std::size_t kLongestNote = 300;

/// The busiest engine: Σ over processes, at most all of it (each share is rounded by itself).
double own_share(const std::vector<GpuUse>& uses, const std::unordered_set<pid_t>& tree) {
  std::map<std::string_view, double> engines;
  for (const GpuUse& use : uses) {
    if (tree.contains(use.pid)) {
      engines[use.engine] += use.percent;
    }
  }
  double busiest = 0;
  for (const auto& [engine, percent] : engines) {
    busiest = std::max(busiest, percent);
  }
  return std::min(busiest, 100.0);
}

std::optional<Bytes> own_memory(const GpuReading& reading, const std::unordered_set<pid_t>& tree) {
  Bytes sum;
  for (const GpuDevice& device : reading.devices) {
    if (!device.memory) {
      return std::nullopt;
    }
    for (const GpuMemory& memory : *device.memory) {
      if (tree.contains(memory.pid)) {
        sum = sum + memory.bytes;
      }
    }
  }
  return reading.devices.empty() ? std::nullopt : std::optional(sum);
}

enum class Detail { Processes, DevicesOnly };

std::string encode(const GpuAnswer& answer, Detail detail) {
  std::string text = fmt::format("{}\n", kHead);
  for (const GpuDevice& device : answer.devices) {
    const bool processes = detail == Detail::Processes;
    text += fmt::format(
        "device\t{}\t{}\t{}\t{}\t{}\n",
        device.busy_percent ? fmt::format("{}", *device.busy_percent) : std::string(kUnknown),
        processes && device.uses ? 1 : 0, processes && device.memory ? 1 : 0,
        printable(device.name, kLongestName), printable(device.note, kLongestNote));
    for (std::size_t i = 0; processes && device.uses && i < device.uses->size(); ++i) {
      const GpuUse& use = (*device.uses)[i];
      text += fmt::format("use\t{}\t{}\t{}\n", use.pid, use.percent,
                          printable(use.engine, kLongestName));
    }
    for (std::size_t i = 0; processes && device.memory && i < device.memory->size(); ++i) {
      text +=
          fmt::format("memory\t{}\t{}\n", (*device.memory)[i].pid, (*device.memory)[i].bytes.count);
    }
  }
  return text + fmt::format("note\t{}\n{}\n", printable(answer.note, kLongestNote), kTail);
}

template <typename Number>
std::optional<Number> number_within(std::string_view text, Number least, Number most) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  // The comparison is false of what is no number.
  return whole && value >= least && value <= most ? std::optional(value) : std::nullopt;
}

std::optional<double> percentage(std::string_view text) {
  return number_within<double>(text, 0, 100);
}
std::optional<pid_t> process_id(std::string_view text) {
  return number_within<pid_t>(text, 1, std::numeric_limits<pid_t>::max());
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t tab = line.find('\t');
    words.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) {
      return words;
    }
    line.remove_prefix(tab + 1);
  }
}

std::optional<GpuDevice> parse_device(const std::vector<std::string_view>& words) {
  const std::optional<double> busy = percentage(words[1]);
  const std::optional<int> uses = number_within(words[2], 0, 1);
  const std::optional<int> memory = number_within(words[3], 0, 1);
  if ((!busy && words[1] != kUnknown) || !uses || !memory) {
    return std::nullopt;
  }
  GpuDevice device{.name = std::string(words[4]), .busy_percent = busy};
  device.note = words[5];
  if (*uses == 1) {
    device.uses.emplace();
  }
  if (*memory == 1) {
    device.memory.emplace();
  }
  return device;
}

bool take_use(const std::vector<std::string_view>& words, std::vector<GpuDevice>& devices) {
  const std::optional<pid_t> pid = process_id(words[1]);
  const std::optional<double> percent = percentage(words[2]);
  if (!pid || !percent || devices.empty() || !devices.back().uses) {
    return false;
  }
  devices.back().uses->push_back({*pid, *percent, std::string(words[3])});
  return true;
}

bool take_memory(const std::vector<std::string_view>& words, std::vector<GpuDevice>& devices) {
  constexpr std::int64_t kMost = std::int64_t{1} << 50;  // so that no sum of them overflows
  const std::optional<pid_t> pid = process_id(words[1]);
  const auto bytes = number_within<std::int64_t>(words[2], 0, kMost);
  if (!pid || !bytes || devices.empty() || !devices.back().memory) {
    return false;
  }
  devices.back().memory->push_back({*pid, Bytes{*bytes}});
  return true;
}

bool take_line(std::string_view line, GpuAnswer& answer) {
  const std::vector<std::string_view> words = split(line);
  if (words[0] == "device" && words.size() == 6 && answer.devices.size() < kMostDevices) {
    std::optional<GpuDevice> device = parse_device(words);
    if (device) {
      answer.devices.push_back(std::move(*device));
    }
    return device.has_value();
  }
  if (words[0] == "use" && words.size() == 4) {
    return take_use(words, answer.devices);
  }
  if (words[0] == "memory" && words.size() == 3) {
    return take_memory(words, answer.devices);
  }
  if (words[0] == "note" && words.size() == 2) {
    answer.note = words[1];
    return true;
  }
  return false;
}

}  // namespace

GpuShare share_of(const GpuReading& reading, const std::unordered_set<pid_t>& tree) {
  GpuShare share{.complete = !reading.devices.empty()};
  for (const GpuDevice& device : reading.devices) {
    const std::optional<double> own =
        device.uses ? std::optional(own_share(*device.uses, tree)) : std::nullopt;
    share.own_percent = std::max(share.own_percent, own);  // nothing is less than any number
    const std::optional<double> figure = own ? own : device.busy_percent;
    share.complete = share.complete && figure.has_value();
    if (figure && (!share.utilization_percent || *figure > *share.utilization_percent)) {
      share.utilization_percent = figure;
      share.device_wide = !own.has_value();
    }
  }
  share.memory = own_memory(reading, tree);
  return share;
}

std::string encode(const GpuAnswer& answer) {
  std::string text = encode(answer, Detail::Processes);
  return text.size() <= kGpuAnswerLimit ? text : encode(answer, Detail::DevicesOnly);
}

std::optional<GpuAnswer> parse_gpu_answer(std::string_view text) {
  GpuAnswer answer;
  bool begun = false;
  while (text.find('\n') != std::string_view::npos) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + 1);
    if (!begun) {
      begun = line == kHead;
      if (!begun) {
        return std::nullopt;
      }
    } else if (line == kTail) {
      return text.empty() ? std::optional(std::move(answer)) : std::nullopt;
    } else if (!take_line(line, answer)) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace keisei::os
