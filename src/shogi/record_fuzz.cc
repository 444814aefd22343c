#include <algorithm>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "shogi/csa.h"
#include "shogi/kif.h"
#include "shogi/record_text.h"
#include "shogi/usi_record.h"

namespace keisei::shogi {
namespace {

/// What is read is written, and that is read and written again as the same text.
template <typename Read, typename Write>
void check(const std::string& text, Read read, Write write) {
  const Result<ReadRecords> first = read(text);
  if (!first) {
    return;
  }
  const std::string once = write(first->games).text;
  const Result<ReadRecords> second = read(once);
  KEISEI_CHECK(second.has_value(), "what was written is refused: {}\n{}", second.error().message,
               once);
  const std::string twice = write(second->games).text;
  KEISEI_CHECK(once == twice, "what was written is read as something else:\n{}\n{}", once, twice);
}

/// A game of CSA keeps its board and its moves on its way through KIF, whatever its free text says.
void check_through_kif(const std::string& text) {
  const Result<ReadRecords> read = read_csa(text);
  if (!read) {
    return;
  }
  for (const GameRecord& game : read->games) {
    const std::string kif = write_kif(game).text;
    const Result<ReadRecords> again = read_kif(kif);
    KEISEI_CHECK(again.has_value(), "what was written is refused: {}\n{}", again.error().message,
                 kif);
    const GameRecord& same = again->games.front();
    const bool is_same =
        std::ranges::equal(same.moves, game.moves, {}, &RecordedMove::move, &RecordedMove::move) &&
        same.start.placement() == game.start.placement();
    KEISEI_CHECK(is_same, "KIF became another game:\n{}", kif);
  }
}

}  // namespace
}  // namespace keisei::shogi

/// The first byte chooses the format.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keisei::shogi;
  if (size == 0) {
    return 0;
  }
  const auto decoded = decode_record(std::string(data + 1, data + size));
  if (!decoded) {
    return 0;
  }
  using Games = std::span<const GameRecord>;
  switch (data[0] % 3) {
    case 0:
      check(decoded->text, read_csa, [](Games games) { return write_csa(games); });
      check_through_kif(decoded->text);
      break;
    case 1:
      check(decoded->text, read_kif, [](Games games) { return write_kif(games.front()); });
      break;
    default:
      check(decoded->text, read_usi_record, [](Games games) { return write_usi_record(games); });
  }
  return 0;
}
