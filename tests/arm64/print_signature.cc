// The signature of the rules engine alone, for a machine that Keisei is not built for as a whole.
#include <cstdio>

#include "shogi/signature.h"

int main() {
  const keisei::shogi::Signature signature = keisei::shogi::run_signature_bench();
  std::printf("%016llx\n", static_cast<unsigned long long>(signature.value));
  return 0;
}
