// libFuzzer: whatever a packet holds, it is a message or an Error, and its descriptor is not
// leaked.
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "telemetry/evaluation_channel.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using keisei::UniqueFd;
  const std::string_view packet(reinterpret_cast<const char*>(data), size);
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  (void)keisei::telemetry::parse_message(packet, UniqueFd(fd));
  if (::fcntl(fd, F_GETFD) >= 0) {
    std::abort();
  }
  (void)keisei::telemetry::parse_message(packet, UniqueFd());
  return 0;
}
