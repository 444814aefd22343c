#include "shogi/kif_words.h"

#include <algorithm>
#include <utility>

#include "shogi/record_text.h"

namespace keisei::shogi {
namespace {

struct PieceName {
  std::string_view name;
  Kind kind;
};
// Longer names before what they begin with.
constexpr std::array<PieceName, 19> kPieceNames = {{{"成香", Kind::ProLance},
                                                    {"成桂", Kind::ProKnight},
                                                    {"成銀", Kind::ProSilver},
                                                    {"歩", Kind::Pawn},
                                                    {"香", Kind::Lance},
                                                    {"桂", Kind::Knight},
                                                    {"銀", Kind::Silver},
                                                    {"金", Kind::Gold},
                                                    {"角", Kind::Bishop},
                                                    {"飛", Kind::Rook},
                                                    {"玉", Kind::King},
                                                    {"王", Kind::King},
                                                    {"と", Kind::ProPawn},
                                                    {"杏", Kind::ProLance},
                                                    {"圭", Kind::ProKnight},
                                                    {"全", Kind::ProSilver},
                                                    {"馬", Kind::Horse},
                                                    {"龍", Kind::Dragon},
                                                    {"竜", Kind::Dragon}}};

constexpr std::string_view kTen = "十";

constexpr std::array<KifHandicap, 16> kHandicaps = {{
    {"平手", "lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL b - 1"},
    {"香落ち", "lnsgkgsn1/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
    {"右香落ち", "1nsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
    {"角落ち", "lnsgkgsnl/1r7/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
    {"飛車落ち", "lnsgkgsnl/7b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
    {"飛香落ち", "lnsgkgsn1/7b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
    {"二枚落ち", "lnsgkgsnl/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
    {"三枚落ち", "lnsgkgsn1/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1", false},
    {"四枚落ち", "1nsgkgsn1/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
    {"五枚落ち", "2sgkgsn1/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1", false},
    {"左五枚落ち", "1nsgkgs2/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1", false},
    {"六枚落ち", "2sgkgs2/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
    {"左七枚落ち", "2sgkg3/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1", false},
    {"右七枚落ち", "3gkgs2/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1", false},
    {"八枚落ち", "3gkg3/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
    {"十枚落ち", "4k4/9/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1"},
}};

// The first word for a key is the one that is written.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kKeys = {
    {{"EVENT", "棋戦"},
     {"SITE", "場所"},
     {"START_TIME", "開始日時"},
     {"START_TIME", "対局日"},
     {"END_TIME", "終了日時"},
     {"TIME_LIMIT", "持ち時間"},
     {"OPENING", "戦型"},
     {"TITLE", "表題"},
     {"NOTE", "備考"}}};

/// One digit out of a row of names, 1..9.
std::optional<int> take_one_of(std::span<const std::string_view> names, std::string_view& text) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (take(text, names[i])) {
      return static_cast<int>(i) + 1;
    }
  }
  return std::nullopt;
}

}  // namespace

Kind take_kif_piece(std::string_view& text) {
  for (const PieceName& piece : kPieceNames) {
    if (take(text, piece.name)) {
      return piece.kind;
    }
  }
  return Kind::None;
}

std::optional<int> take_kif_digit(std::string_view& text) {
  if (!text.empty() && text.front() >= '1' && text.front() <= '9') {
    const int digit = text.front() - '0';
    text.remove_prefix(1);
    return digit;
  }
  const auto wide = take_one_of(kKifFiles, text);
  return wide ? wide : take_one_of(kKifRanks, text);
}

std::optional<int> take_kif_count(std::string_view& text) {
  if (const auto plain = take_number(text)) {
    return *plain >= 1 && *plain <= 99 ? plain : std::nullopt;
  }
  const auto before = take_kif_digit(text);
  if (!take(text, kTen)) {
    return before;
  }
  return before.value_or(1) * 10 + take_kif_digit(text).value_or(0);
}

std::string kif_count(int count) {
  std::string text(count >= 10 ? kTen : "");
  if (count % 10 != 0) {
    text += kKifRanks[static_cast<std::size_t>(count % 10 - 1)];
  }
  return text;
}

std::span<const KifHandicap> kif_handicaps() { return kHandicaps; }

std::string_view to_kif_key(std::string_view key) {
  const auto* const found =
      std::ranges::find(kKeys, key, &std::pair<std::string_view, std::string_view>::first);
  return found == kKeys.end() ? key : found->second;
}

std::string_view from_kif_key(std::string_view key) {
  const auto* const found =
      std::ranges::find(kKeys, key, &std::pair<std::string_view, std::string_view>::second);
  return found == kKeys.end() ? key : found->first;
}

}  // namespace keisei::shogi
