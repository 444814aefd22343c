#include "os/drm.h"

#include <dirent.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <set>
#include <system_error>

#include "os/procfs.h"

namespace keisei::os {
namespace {

constexpr double kMeasurementError = 10;  // percent: clocks are not read at one instant
constexpr std::array<std::string_view, 3> kDrivers = {"amdgpu", "i915", "xe"};

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  const std::size_t end = text.find_last_not_of(" \t");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

struct Quantity {
  std::uint64_t value = 0;
  std::string_view unit;
};

std::optional<Quantity> parse_quantity(std::string_view text) {
  Quantity quantity;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), quantity.value);
  if (error != std::errc{}) {
    return std::nullopt;
  }
  quantity.unit = trim(text.substr(static_cast<std::size_t>(end - text.data())));
  return quantity;
}

std::optional<Bytes> to_bytes(const Quantity& quantity) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 50;
  std::uint64_t factor = 0;
  if (quantity.unit.empty()) {
    factor = 1;
  } else if (quantity.unit == "KiB") {
    factor = 1024;
  } else if (quantity.unit == "MiB") {
    factor = std::uint64_t{1024} * 1024;
  }
  if (factor == 0 || quantity.value > kMost / factor) {
    return std::nullopt;
  }
  return Bytes{static_cast<std::int64_t>(quantity.value * factor)};
}

/// Collects one fdinfo, line by line.
class ClientParser {
 public:
  /// False where the line is of a kind that is known but cannot be read.
  bool take(std::string_view key, std::string_view value) {
    if (key == "drm-pdev") {
      client_.device = value;
      return !value.empty();
    }
    const std::optional<Quantity> quantity = parse_quantity(value);
    if (key == "drm-client-id") {
      has_id_ = quantity.has_value();
      client_.id = quantity.value_or(Quantity{}).value;
      return has_id_;
    }
    if (key.starts_with("drm-engine-capacity-")) {
      return quantity && quantity->value > 0 && set_capacity(after(key, 20), quantity->value);
    }
    if (key.starts_with("drm-engine-")) {
      return quantity && quantity->unit == "ns" && set_busy(after(key, 11), quantity->value);
    }
    if (key.starts_with("drm-cycles-")) {
      return quantity && set_busy(after(key, 11), quantity->value);
    }
    if (key.starts_with("drm-total-cycles-")) {
      return quantity && set_total(after(key, 17), quantity->value);
    }
    return take_memory(key, quantity);
  }

  std::optional<DrmClient> result() && {
    if (!has_id_ || client_.device.empty() || client_.engines.empty()) {
      return std::nullopt;
    }
    client_.memory = resident_ ? resident_ : memory_;
    return std::move(client_);
  }

 private:
  static std::string_view after(std::string_view key, std::size_t prefix) {
    return key.substr(prefix);
  }
  DrmEngine& engine(std::string_view name) {
    const auto found = std::ranges::find(client_.engines, name, &DrmEngine::name);
    return found != client_.engines.end()
               ? *found
               : client_.engines.emplace_back(DrmEngine{.name = std::string(name)});
  }
  bool set_busy(std::string_view name, std::uint64_t busy) {
    engine(name).busy = busy;
    return true;
  }
  bool set_total(std::string_view name, std::uint64_t total) {
    engine(name).total = total;
    return true;
  }
  bool set_capacity(std::string_view name, std::uint64_t capacity) {
    engine(name).capacity = capacity;
    return true;
  }
  /// Regions that are the device's own are called vram or local, with a number where many.
  bool take_memory(std::string_view key, const std::optional<Quantity>& quantity) {
    const bool resident = key.starts_with("drm-resident-");
    if (!resident && !key.starts_with("drm-memory-")) {
      return true;
    }
    const std::string_view region = key.substr(resident ? 13 : 11);
    if (!region.starts_with("vram") && !region.starts_with("local")) {
      return true;
    }
    const std::optional<Bytes> bytes = quantity ? to_bytes(*quantity) : std::nullopt;
    std::optional<Bytes>& sum = resident ? resident_ : memory_;
    sum = sum.value_or(Bytes{}) + bytes.value_or(Bytes{});
    return bytes.has_value();
  }

  DrmClient client_;
  bool has_id_ = false;
  std::optional<Bytes> resident_;
  std::optional<Bytes> memory_;
};

/// What `now` worked since `before`, in percent of `elapsed`; nothing where that cannot be.
std::optional<double> worked(const DrmEngine& before, const DrmEngine& now,
                             std::chrono::nanoseconds elapsed) {
  double whole = static_cast<double>(elapsed.count());
  if (now.total) {
    whole = static_cast<double>(*now.total) - static_cast<double>(before.total.value_or(0));
  }
  if (now.busy < before.busy || whole < 0) {
    return std::nullopt;
  }
  const auto busy = static_cast<double>(now.busy - before.busy);
  if (busy == 0 || whole == 0) {
    return busy == 0 ? std::optional(0.0) : std::nullopt;
  }
  const double percent = 100 * busy / (whole * static_cast<double>(now.capacity));
  return percent <= 100 + kMeasurementError ? std::optional(std::min(percent, 100.0))
                                            : std::nullopt;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::string link_target(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::read_symlink(path, error).string();
}

/// The last part of where the link `path` points to.
std::string link_name(const std::filesystem::path& path) {
  return std::filesystem::path(link_target(path)).filename().string();
}

/// «card0», and not «card0-DP-1», which is one of its sockets.
bool is_card(std::string_view name) {
  return name.starts_with("card") && name.size() > 4 &&
         name.find_first_not_of("0123456789", 4) == std::string_view::npos;
}

std::optional<double> busy_percent(const DrmCard& card) {
  const auto text = read_proc((card.directory / "gpu_busy_percent").string());
  const auto quantity = text ? parse_quantity(trim(*text)) : std::nullopt;
  if (!quantity || quantity->value > 100) {
    return std::nullopt;
  }
  return static_cast<double>(quantity->value);
}

std::chrono::nanoseconds age_of(const std::filesystem::path& process) {
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto text = read_proc((process / "stat").string());
  const auto stat = text ? parse_stat(*text, ticks_per_second) : std::nullopt;
  timespec now = {};
  if (!stat || clock_gettime(CLOCK_BOOTTIME, &now) != 0) {
    return {};
  }
  const double age = static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 -
                     static_cast<double>(stat->start_ticks) / ticks_per_second;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::max(age, 0.0) * 1e9));
}

}  // namespace

std::optional<DrmClient> parse_drm_fdinfo(std::string_view text) {
  ClientParser parser;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t colon = line.find(':');
    if (line.starts_with("drm-") && colon != std::string_view::npos &&
        !parser.take(line.substr(0, colon), trim(line.substr(colon + 1)))) {
      return std::nullopt;
    }
  }
  return std::move(parser).result();
}

std::vector<SeenDrmClient> each_client_once(std::vector<SeenDrmClient> seen) {
  std::set<std::pair<std::string, std::uint64_t>> known;
  std::erase_if(seen, [&known](const SeenDrmClient& one) {
    return !known.emplace(one.client.device, one.client.id).second;
  });
  return seen;
}

DrmAccount::Uses DrmAccount::advance(std::span<const SeenDrmClient> seen) {
  Uses uses;
  std::map<Key, Past> present;
  for (const SeenDrmClient& one : seen) {
    const Key key{one.client.device, one.client.id};
    auto& device = uses.try_emplace(one.client.device, std::vector<GpuUse>{}).first->second;
    present.try_emplace(key, Past{.at = one.at, .engines = one.client.engines});
    const auto before = past_.find(key);
    for (const DrmEngine& engine : one.client.engines) {
      DrmEngine start{.name = engine.name, .total = engine.total};
      std::chrono::nanoseconds elapsed = one.process_age;
      if (before != past_.end()) {
        elapsed = one.at - before->second.at;
        const auto same = std::ranges::find(before->second.engines, engine.name, &DrmEngine::name);
        start = same != before->second.engines.end() ? *same : start;
      } else if (engine.total) {
        continue;  // cycles have no beginning to count from
      }
      const std::optional<double> percent = worked(start, engine, elapsed);
      if (percent && device) {
        device->push_back({one.pid, *percent, engine.name});
      } else {
        device.reset();
      }
    }
  }
  past_ = std::move(present);
  return uses;
}

std::vector<DrmCard> list_drm_cards(const std::filesystem::path& sysfs) {
  std::vector<DrmCard> cards;
  const Directory directory(opendir(sysfs.c_str()));
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    if (!is_card(entry->d_name)) {
      continue;
    }
    const std::filesystem::path device = sysfs / entry->d_name / "device";
    const std::string driver = link_name(device / "driver");
    if (std::ranges::count(kDrivers, driver) > 0) {
      cards.push_back({link_name(device), driver, device});
    }
  }
  std::ranges::sort(cards, {}, &DrmCard::device);
  return cards;
}

/// What the descriptor tables of the processes that were asked about hold.
struct DrmProbe::Descriptors {
  std::vector<SeenDrmClient> clients;
  bool unknown = false;  ///< a table or a client that cannot be read
  bool compute = false;  ///< AMD's compute queues, whose work no descriptor tells
};

DrmProbe::DrmProbe(const std::filesystem::path& sysfs, std::filesystem::path proc)
    : cards_(list_drm_cards(sysfs)), proc_(std::move(proc)) {}

void DrmProbe::look_at(pid_t pid, Descriptors& found) const {
  const std::filesystem::path process = proc_ / std::to_string(pid);
  const Directory directory(opendir((process / "fd").c_str()));
  if (!directory) {
    found.unknown |= errno != ENOENT && errno != ESRCH;  // else it has ended
    return;
  }
  while (const dirent* entry = readdir(directory.get())) {
    const std::string target = link_target(process / "fd" / entry->d_name);
    found.compute |= target == "/dev/kfd";
    if (!target.starts_with("/dev/dri/")) {
      continue;
    }
    const auto text = read_proc((process / "fdinfo" / entry->d_name).string());
    const MonotonicTime now = MonotonicClock::now();
    std::optional<DrmClient> client = text ? parse_drm_fdinfo(*text) : std::nullopt;
    if (client) {
      found.clients.push_back({pid, age_of(process), now, std::move(*client)});
    }
    found.unknown |= !client && link_target(process / "fd" / entry->d_name) == target;
  }
}

std::vector<GpuDevice> DrmProbe::sample(std::span<const pid_t> asked) {
  Descriptors found;
  for (const pid_t pid : asked) {
    if (!cards_.empty()) {
      look_at(pid, found);
    }
  }
  found.clients = each_client_once(std::move(found.clients));
  DrmAccount::Uses uses = account_.advance(found.clients);
  std::vector<GpuDevice> devices;
  for (const DrmCard& card : cards_) {
    GpuDevice device{.name = fmt::format("{} {}", card.driver, card.device),
                     .busy_percent = busy_percent(card)};
    const bool hidden = found.unknown || (found.compute && card.driver == "amdgpu");
    if (!hidden) {
      // Who holds no client has used nothing.
      device.uses = uses.try_emplace(card.device, std::vector<GpuUse>{}).first->second;
      device.memory.emplace();
    }
    for (const SeenDrmClient& seen : found.clients) {
      if (!device.memory || seen.client.device != card.device) {
        continue;
      }
      if (seen.client.memory) {
        device.memory->push_back({seen.pid, *seen.client.memory});
      } else {
        device.memory.reset();
      }
    }
    if (!device.uses) {
      device.note = found.compute ? "compute queues (/dev/kfd) tell no process's use"
                                  : "a process's use of it cannot be read";
    }
    devices.push_back(std::move(device));
  }
  return devices;
}

}  // namespace keisei::os
