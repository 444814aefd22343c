// random_records DIR GAMES SEED: writes random games into DIR, each as N.usi, N.csa, N.kifu and
// N.kif, for another program to read.
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/file.h"
#include "shogi/csa.h"
#include "shogi/kif.h"
#include "shogi/record_test_support.h"
#include "shogi/record_text.h"
#include "shogi/usi_record.h"

namespace {

using namespace keisei;

constexpr std::uint32_t kPlies = 200;

Result<void> write_record(const std::filesystem::path& stem, const shogi::GameRecord& record) {
  const std::span games(&record, 1);
  const std::string kif = shogi::write_kif(record).text;
  KEISEI_TRY(shift_jis, shogi::encode_shift_jis(kif));
  const auto write = [&](const char* extension, const std::string& text) {
    return write_file_atomically(stem.string() + extension, text);
  };
  KEISEI_TRY_VOID(write(".usi", shogi::write_usi_record(games).text));
  KEISEI_TRY_VOID(write(".csa", shogi::write_csa(games).text));
  KEISEI_TRY_VOID(write(".kifu", kif));
  return write(".kif", shift_jis.bytes);
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: random_records DIR GAMES SEED\n", stderr);
    return 2;
  }
  const std::filesystem::path directory = argv[1];
  for (std::uint64_t game = 0; game < number(argv[2]); ++game) {
    Rng rng(number(argv[3]), game);
    const auto written =
        write_record(directory / std::to_string(game), shogi::random_record(rng, kPlies));
    if (!written) {
      fmt::print(stderr, "random_records: {}\n", written.error().message);
      return 1;
    }
  }
  return 0;
}
