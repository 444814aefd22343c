// heed_warning MB [lie]: touches MB megabytes, waits for the guard's warning (os/warning.h), then
// reports «early» with the warning's letter to descriptor 3 and ends well. `lie`: does not wait.
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

int main(int argc, char** argv) {
  constexpr int kWarningFd = 199;
  constexpr int kReportFd = 3;
  constexpr int kPatienceMs = 30'000;
  const auto bytes = static_cast<std::size_t>(argc > 1 ? std::atoi(argv[1]) : 0) * 1'000'000;
  void* memory = std::malloc(bytes + 1);
  std::memset(memory, 1, bytes + 1);
  asm volatile("" : : "r"(memory) : "memory");  // the memory must really be touched
  std::string report = "early -";
  if (argc < 3 || std::strcmp(argv[2], "lie") != 0) {
    pollfd warning = {.fd = kWarningFd, .events = POLLIN, .revents = 0};
    if (poll(&warning, 1, kPatienceMs) != 1 || read(kWarningFd, &report.back(), 1) != 1) {
      return 1;
    }
  }
  return write(kReportFd, report.data(), report.size()) > 0 ? 0 : 1;
}
