#include "shogi/attacks.h"

#include "base/check.h"

namespace keisei::shogi {
namespace {

struct Delta {
  int file;
  int rank;
};

constexpr std::array<Delta, 8> kRayDeltas = {{{0, 1},
                                              {1, 0},
                                              {1, 1},
                                              {1, -1},  // ascending
                                              {0, -1},
                                              {-1, 0},
                                              {-1, -1},
                                              {-1, 1}}};

constexpr bool on_board(int file, int rank) {
  return file >= 0 && file < 9 && rank >= 0 && rank < 9;
}

constexpr void add_step(Bitboard& set, Square from, Delta delta) {
  const int file = file_of(from) + delta.file;
  const int rank = rank_of(from) + delta.rank;
  if (on_board(file, rank)) {
    set |= Bitboard::of(square_at(file, rank));
  }
}

constexpr void fill_rays(AttackTables& tables, Square from) {
  const auto source = static_cast<std::size_t>(from);
  for (std::size_t ray = 0; ray < kRayDeltas.size(); ++ray) {
    int file = file_of(from) + kRayDeltas[ray].file;
    int rank = rank_of(from) + kRayDeltas[ray].rank;
    for (; on_board(file, rank); file += kRayDeltas[ray].file, rank += kRayDeltas[ray].rank) {
      const Square to = square_at(file, rank);
      tables.rays[ray][source] |= Bitboard::of(to);
      tables.directions[source][static_cast<std::size_t>(to)] = static_cast<Ray>(ray);
    }
  }
}

constexpr void fill_steps(AttackTables& tables, Square from, Color color) {
  const int forward = color == Color::Black ? -1 : 1;
  const auto source = static_cast<std::size_t>(from);
  auto& [pawn, knight, silver, gold, king] = tables.steps[static_cast<std::size_t>(color)];
  add_step(pawn[source], from, {0, forward});
  add_step(knight[source], from, {-1, 2 * forward});
  add_step(knight[source], from, {1, 2 * forward});
  for (int side = -1; side <= 1; ++side) {
    add_step(silver[source], from, {side, forward});
    add_step(gold[source], from, {side, forward});
  }
  for (int side = -1; side <= 1; side += 2) {
    add_step(silver[source], from, {side, -forward});
    add_step(gold[source], from, {side, 0});
  }
  add_step(gold[source], from, {0, -forward});
  for (const Delta delta : kRayDeltas) {
    add_step(king[source], from, delta);
  }
}

constexpr AttackTables make_tables() {
  AttackTables tables{};
  for (auto& row : tables.directions) {
    row.fill(Ray::None);
  }
  for (Square from = 0; from < kSquareCount; ++from) {
    fill_rays(tables, from);
    fill_steps(tables, from, Color::Black);
    fill_steps(tables, from, Color::White);
  }
  return tables;
}

}  // namespace

alignas(64) constexpr AttackTables kAttackTables = make_tables();

template <Color color>
Bitboard attacks(Kind kind, Square from, Bitboard occupied) {
  switch (kind) {
    case Kind::Pawn:
      return step_attacks<color, Step::Pawn>(from);
    case Kind::Lance:
      return lance_attacks<color>(from, occupied);
    case Kind::Knight:
      return step_attacks<color, Step::Knight>(from);
    case Kind::Silver:
      return step_attacks<color, Step::Silver>(from);
    case Kind::Bishop:
      return bishop_attacks(from, occupied);
    case Kind::Rook:
      return rook_attacks(from, occupied);
    case Kind::Gold:
    case Kind::ProPawn:
    case Kind::ProLance:
    case Kind::ProKnight:
    case Kind::ProSilver:
      return step_attacks<color, Step::Gold>(from);
    case Kind::King:
      return king_attacks(from);
    case Kind::Horse:
      return bishop_attacks(from, occupied) | king_attacks(from);
    case Kind::Dragon:
      return rook_attacks(from, occupied) | king_attacks(from);
    case Kind::None:
      break;
  }
  KEISEI_CHECK(false, "attacks of no piece");
  return {};
}

template Bitboard attacks<Color::Black>(Kind, Square, Bitboard);
template Bitboard attacks<Color::White>(Kind, Square, Bitboard);

}  // namespace keisei::shogi
