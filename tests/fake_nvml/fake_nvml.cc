// A libnvidia-ml.so.1 that does what its file's name says: a link to it named «hang_init.so» hangs
// in nvmlInit. Behaviours:
//   answers_N, later_N        each process that is meant uses N %; «later» hangs after two answers
//   not_found, not_supported  as the driver answers for processes
//   busy_N                    the device is used N %; the driver does not say by whom
//   error_CALL, hang_CALL, spin_CALL, crash_CALL, exit_CALL    CALL: load, init, count, handle,
//                                                              utilization, processes
//   lie_over, lie_negative, lie_strangers, lie_count, lie_more, lie_empty, lie_time, lie_devices,
//   lie_busy, lie_memory      as said below
//   noise                     answers_30, and prints
// The processes that are meant have in their command line what the file «match» beside the link
// says; without that file it is the one process that started the caller.
#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
constexpr int kNotFound = 6;
constexpr int kInsufficientSize = 7;
constexpr int kUnknown = 999;
constexpr unsigned long long kMemory = 8'000'000'000;

struct Sample {
  unsigned pid;
  unsigned long long time;
  unsigned sm, memory, encoder, decoder;
};
struct ProcessMemory {
  unsigned pid;
  unsigned long long bytes;
};
struct Rates {
  unsigned gpu, memory;
};
struct Memory {
  unsigned long long total, free, used;
};

std::string own_path() {
  Dl_info info = {};
  return dladdr(reinterpret_cast<void*>(&own_path), &info) != 0 ? info.dli_fname : "";
}

std::string behaviour() {
  const std::string path = own_path();
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.find('.'));
}

bool is(const std::string& name) { return behaviour() == name; }
bool begins(const char* name) { return behaviour().rfind(name, 0) == 0; }

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

[[maybe_unused]] std::vector<unsigned> meant() {
  const std::string path = own_path();
  const std::string match = content(path.substr(0, path.rfind('/')) + "/match");
  if (match.empty()) {
    return {static_cast<unsigned>(getppid())};
  }
  std::vector<unsigned> found;
  DIR* const directory = opendir("/proc");
  while (const dirent* entry = readdir(directory)) {
    const int pid = std::atoi(entry->d_name);
    if (pid > 0 &&
        content("/proc/" + std::to_string(pid) + "/cmdline").find(match) != std::string::npos) {
      found.push_back(static_cast<unsigned>(pid));
    }
  }
  closedir(directory);
  return found;
}

/// What every call does first.
int misbehave(const std::string& call) {
  if (is("hang_" + call)) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    while (true) {
      pause();
    }
  }
  if (is("spin_" + call)) {
    while (true) {
      asm volatile("");
    }
  }
  if (is("crash_" + call)) {
    raise(SIGSEGV);
  }
  if (is("exit_" + call)) {
    exit(0);
  }
  if (is("noise")) {
    std::printf("noise on stdout from %s\n", call.c_str());
    std::fprintf(stderr, "noise on stderr from %s\n", call.c_str());
    std::fflush(stdout);
  }
  return is("error_" + call) ? kUnknown : kSuccess;
}

unsigned percent() {
  const std::string name = behaviour();
  return begins("answers_") || begins("later_") || begins("busy_")
             ? static_cast<unsigned>(std::atoi(name.c_str() + name.find('_') + 1))
             : 30;
}

unsigned long long now() {
  static unsigned long long time = 1'000'000;
  return ++time;
}

[[maybe_unused]] std::vector<Sample> samples() {
  std::vector<Sample> all;
  all.push_back({1, now(), 90, 0, 0, 0});  // a stranger
  for (const unsigned pid : meant()) {
    all.push_back({pid, now(), percent(), 0, 0, 0});
    if (is("lie_over")) {
      all.back().sm = 300;
    } else if (is("lie_negative")) {
      all.back().sm = ~0U;
    } else if (is("lie_time")) {
      all.back().time = 0;
    } else if (is("lie_strangers")) {
      all.back().pid = 2;
    }
  }
  return all;
}

__attribute__((constructor)) void load() { misbehave("load"); }

}  // namespace

extern "C" {

int nvmlInit_v2() { return misbehave("init"); }

int nvmlShutdown() {
  while (true) {  // nobody needs this call
    pause();
  }
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = is("lie_devices") ? ~0U : 1;
  return misbehave("count");
}

int nvmlDeviceGetHandleByIndex_v2(unsigned, void** device) {
  *device = device;
  return misbehave("handle");
}

int nvmlDeviceGetUtilizationRates(void*, Rates* rates) {
  static int asked = 0;
  if (begins("later_") && ++asked > 2) {
    while (true) {
      pause();
    }
  }
  *rates = {is("lie_busy") ? 300U : begins("busy_") ? percent() : 42U, 7};
  return misbehave("utilization");
}

int nvmlDeviceGetName(void*, char* name, unsigned length) {
  std::snprintf(name, length, "Fake GPU");
  return kSuccess;
}

int nvmlDeviceGetMemoryInfo(void*, Memory* memory) {
  *memory = {kMemory, 0, kMemory};
  return kSuccess;
}

#ifndef FAKE_IS_OLD
int nvmlDeviceGetProcessUtilization(void*, Sample* to, unsigned* count, unsigned long long since) {
  if (const int status = misbehave("processes"); status != kSuccess) {
    return status;
  }
  if (is("not_found")) {
    return kNotFound;
  }
  if (is("not_supported") || is("lie_busy") || begins("busy_")) {
    return kNotSupported;
  }
  static std::vector<Sample> kept;
  if (to == nullptr || *count == 0) {
    kept = samples();
    *count = is("lie_count") ? ~0U : is("lie_empty") ? 0 : static_cast<unsigned>(kept.size());
    return kInsufficientSize;
  }
  if (*count < kept.size()) {
    return kInsufficientSize;
  }
  (void)since;
  std::memcpy(to, kept.data(), kept.size() * sizeof(Sample));
  *count = is("lie_more") ? *count + 1000 : static_cast<unsigned>(kept.size());
  return kSuccess;
}

int nvmlDeviceGetComputeRunningProcesses(void*, unsigned* count, ProcessMemory* to) {
  const std::vector<unsigned> pids = meant();
  if (to == nullptr || *count < pids.size()) {
    *count = static_cast<unsigned>(pids.size());
    return pids.empty() ? kSuccess : kInsufficientSize;
  }
  for (std::size_t i = 0; i < pids.size(); ++i) {
    to[i] = {pids[i], is("lie_memory") ? kMemory + 1 : 123'000'000};
  }
  *count = static_cast<unsigned>(pids.size());
  return kSuccess;
}
#endif

}  // extern "C"
