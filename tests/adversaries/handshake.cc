// handshake MEMORY_BYTES: ends well where it finds the jail's handshake and that limit in it.
#include "os/handshake.h"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  const keisei::Result<keisei::os::JailHandshake> handshake = keisei::os::inherited_handshake();
  if (!handshake) {
    std::fprintf(stderr, "%s\n", handshake.error().message.c_str());
    return 1;
  }
  return argc > 1 && handshake->memory.count == std::atoll(argv[1]) ? 0 : 2;
}
