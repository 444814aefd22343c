#include <cstdint>

#include "base/check.h"
#include "net/safetensors.h"

/// Whatever the bytes are: no crash, no read outside them, and what is accepted can be written and
/// read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keisei::net;
  const keisei::Result<SafetensorsView> view =
      parse_safetensors(std::as_bytes(std::span(data, size)));
  if (view) {
    const std::vector<std::byte> again = serialise_safetensors(view->tensors, view->metadata);
    const auto parsed = parse_safetensors(again);
    KEISEI_CHECK(parsed && parsed->tensors.size() == view->tensors.size(),
                 "what was accepted cannot be written");
  }
  return 0;
}
