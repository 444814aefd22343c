#include "shogi/csa_words.h"

#include <algorithm>

namespace keisei::shogi {

std::optional<Color> color_of_csa_sign(char sign) {
  if (sign == '+' || sign == '-') {
    return sign == '+' ? Color::Black : Color::White;
  }
  return std::nullopt;
}

Kind csa_piece(std::string_view word) {
  const auto* const found = std::find(kCsaPieces.begin() + 1, kCsaPieces.end(), word);
  return found == kCsaPieces.end() ? Kind::None : static_cast<Kind>(found - kCsaPieces.begin());
}

std::optional<Square> csa_square(std::string_view word) {
  if (word == "00") {
    return kCsaHand;
  }
  const bool known =
      word.size() == 2 && word[0] >= '1' && word[0] <= '9' && word[1] >= '1' && word[1] <= '9';
  return known ? std::optional(square_at(word[0] - '1', word[1] - '1')) : std::nullopt;
}

}  // namespace keisei::shogi
