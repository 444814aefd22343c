// libFuzzer: whatever a probe or a driver's fdinfo says is read or refused, and what was read
// survives being written again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "os/drm.h"
#include "os/gpu_reading.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keisei::os;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_drm_fdinfo(text);
  const auto answer = parse_gpu_answer(text);
  if (answer) {
    (void)share_of({.asked_at = {}, .devices = answer->devices}, {1, 7});
    if (!parse_gpu_answer(encode(*answer))) {
      std::abort();
    }
  }
  return 0;
}
