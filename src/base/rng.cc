#include "base/rng.h"

#include "base/check.h"

namespace keisei {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;
constexpr int kNumberBits = 56;  // of a stream's name; the rest is its purpose

}  // namespace

std::array<std::uint32_t, 4> philox(std::uint64_t key, std::array<std::uint32_t, 4> counter) {
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{kMultiplier0} * counter[0];
    const std::uint64_t product1 = std::uint64_t{kMultiplier1} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0,
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
               static_cast<std::uint32_t>(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

std::uint64_t stream_of(Purpose purpose, std::uint64_t number) {
  KEISEI_CHECK(number >> kNumberBits == 0, "stream number {}", number);
  return (static_cast<std::uint64_t>(purpose) << kNumberBits) | number;
}

Rng::result_type Rng::operator()() {
  if (position_ % 2 == 0) {
    const std::uint64_t block = position_ / 2;
    const auto words = philox(
        seed_, {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)});
    block_ = {words[0] | (std::uint64_t{words[1]} << 32),
              words[2] | (std::uint64_t{words[3]} << 32)};
  }
  return block_[position_++ % 2];
}

std::uint32_t Rng::below(std::uint32_t bound) {
  KEISEI_CHECK(bound > 0, "below(0)");
  std::uint64_t product = ((*this)() >> 32) * bound;
  auto low = static_cast<std::uint32_t>(product);
  if (low < bound) {
    const std::uint32_t threshold = (0U - bound) % bound;
    while (low < threshold) {
      product = ((*this)() >> 32) * bound;
      low = static_cast<std::uint32_t>(product);
    }
  }
  return static_cast<std::uint32_t>(product >> 32);
}

double Rng::uniform() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }

void Rng::seek(std::uint64_t position) {
  position_ = position - position % 2;
  if (position % 2 == 1) {
    (void)(*this)();
  }
}

}  // namespace keisei
