#include "shogi/movegen.h"

#include "shogi/attacks.h"

namespace keisei::shogi {
namespace {

constexpr Bitboard kBottomRank = ranks(8, 8);

template <Color us>
constexpr Square one_forward(Square square) {
  return us == Color::Black ? square - 1 : square + 1;
}

/// The files without one of these pawns; at most one may stand on each file. Per file of nine bits,
/// bit 8 - pawn keeps bit 8 only where there was no pawn, and nothing is borrowed across files.
Bitboard files_without(Bitboard pawns) {
  const auto spread = [](std::uint64_t bottom, std::uint64_t pawn_bits) {
    const std::uint64_t free = (bottom - pawn_bits) & bottom;
    return free | (free - (free >> 8));
  };
  return {spread(kBottomRank.low, pawns.low), spread(kBottomRank.high, pawns.high)};
}

/// Whether a pawn of `us` dropped on `to`, straight before the other king, leaves it no reply.
template <Color us>
bool drop_pawn_mates(const Position& position, Square to) {
  constexpr Color kThem = opponent(us);
  const Square king = position.king(kThem);
  const Bitboard occupied = position.occupied() | Bitboard::of(to);
  const Bitboard without_king = without(occupied, Bitboard::of(king));
  if (position.attackers(us, to, occupied).empty()) {
    return false;  // the king takes the pawn
  }
  Bitboard capturers = without(position.attackers(kThem, to, occupied), Bitboard::of(king));
  for (; !capturers.empty(); capturers ^= Bitboard::of(capturers.first())) {
    const Bitboard left = without(occupied, Bitboard::of(capturers.first()));
    if (position.attackers(us, king, left).empty()) {
      return false;  // not pinned, or pinned on the file where it stays
    }
  }
  Bitboard flights = without(king_attacks(king), position.pieces(kThem) | Bitboard::of(to));
  for (; !flights.empty(); flights ^= Bitboard::of(flights.first())) {
    if (position.attackers(us, flights.first(), without_king).empty()) {
      return false;
    }
  }
  return true;
}

/// Writes the legal moves of the side to move, which is `us`.
///   pins and checkers of our king -> king moves; target mask -> board moves; empty targets ->
///   drops
template <Color us>
class Generator {
 public:
  Generator(const Position& position, Move* out)
      : position_(position),
        out_(out),
        king_(position.king(us)),
        occupied_(position.occupied()),
        own_(position.pieces(us)),
        free_(own_) {
    find_pins_and_checkers();
  }

  /// The end of what was written.
  Move* run() {
    king_moves();
    if (checkers_.more_than_one()) {
      return out_;
    }
    Bitboard empty = ~occupied_;
    targets_ = ~own_;
    if (!checkers_.empty()) {
      empty = between(king_, checkers_.first());
      targets_ = empty | checkers_;
    }
    board_moves();
    if (!position_.hand(us).empty() && !empty.empty()) {
      drops(empty);
    }
    return out_;
  }

 private:
  static constexpr Color kThem = opponent(us);

  void find_pins_and_checkers() {
    const Bitboard horses = position_.pieces(Kind::Horse);
    const Bitboard dragons = position_.pieces(Kind::Dragon);
    const Bitboard theirs = position_.pieces(kThem);
    checkers_ = ((step_attacks<us, Step::Pawn>(king_) & position_.pieces(Kind::Pawn)) |
                 (step_attacks<us, Step::Knight>(king_) & position_.pieces(Kind::Knight)) |
                 (step_attacks<us, Step::Silver>(king_) & position_.pieces(Kind::Silver)) |
                 (step_attacks<us, Step::Gold>(king_) & position_.golds()) |
                 (king_attacks(king_) & (horses | dragons))) &
                theirs;
    const Bitboard snipers = ((straight_lines(king_) & (position_.pieces(Kind::Rook) | dragons)) |
                              (diagonal_lines(king_) & (position_.pieces(Kind::Bishop) | horses)) |
                              (lance_line<us>(king_) & position_.pieces(Kind::Lance))) &
                             theirs;
    for_each_square(snipers, [&](Square sniper) {
      const Bitboard blockers = between(king_, sniper) & occupied_;
      if (blockers.empty()) {
        checkers_ |= Bitboard::of(sniper);
      } else if (!blockers.more_than_one()) {
        pinned_ |= blockers & own_;
      }
    });
    free_ = without(own_, pinned_);
  }

  void king_moves() {
    const Bitboard without_king = without(occupied_, Bitboard::of(king_));
    for_each_square(without(king_attacks(king_), own_), [&](Square to) {
      if (position_.attackers(kThem, to, without_king).empty()) {
        *out_++ = Move::board(king_, to);
      }
    });
  }

  void board_moves() {
    pawn_moves();
    moves_of<Kind::Lance>([&](Square from) { return lance_attacks<us>(from, occupied_); });
    moves_of<Kind::Knight>([](Square from) { return step_attacks<us, Step::Knight>(from); });
    moves_of<Kind::Silver>([](Square from) { return step_attacks<us, Step::Silver>(from); });
    moves_of<Kind::Bishop>([&](Square from) { return bishop_attacks(from, occupied_); });
    moves_of<Kind::Rook>([&](Square from) { return rook_attacks(from, occupied_); });
    moves_of<Kind::Horse>(
        [&](Square from) { return bishop_attacks(from, occupied_) | king_attacks(from); });
    moves_of<Kind::Dragon>(
        [&](Square from) { return rook_attacks(from, occupied_) | king_attacks(from); });
    for_each_square(position_.golds() & free_, [&](Square from) {
      emit<Kind::Gold>(from, step_attacks<us, Step::Gold>(from) & targets_);
    });
    for_each_square(pinned_, [&](Square from) { pinned_moves(from); });
  }

  template <Kind kind, typename Attacks>
  void moves_of(Attacks attacks_from) {
    for_each_square(position_.pieces(kind) & free_,
                    [&](Square from) { emit<kind>(from, attacks_from(from) & targets_); });
  }

  void pawn_moves() {
    const Bitboard pawns = position_.pieces(Kind::Pawn) & free_;
    const Bitboard to = (us == Color::Black ? shift_up(pawns) : shift_down(pawns)) & targets_;
    for_each_square(to & kFarRanks<us, 3>, [&](Square square) {
      *out_++ = Move::promotion(one_forward<kThem>(square), square);
    });
    for_each_square(without(to, kFarRanks<us, 1>), [&](Square square) {
      *out_++ = Move::board(one_forward<kThem>(square), square);
    });
  }

  /// A pinned piece stays on the line through its king.
  void pinned_moves(Square from) {
    const Kind kind = kind_of(position_.at(from));
    const Bitboard to = attacks<us>(kind, from, occupied_) & targets_ & line_through(king_, from);
    if (kind == Kind::Pawn || kind == Kind::Lance) {
      emit<Kind::Lance>(from, to);
    } else if (kind == Kind::Knight) {
      emit<Kind::Knight>(from, to);
    } else if (can_promote(kind)) {
      emit<Kind::Silver>(from, to);
    } else {
      emit<Kind::Gold>(from, to);
    }
  }

  /// The moves from `from` to each of `to`, with and without promotion as `kind` may.
  template <Kind kind>
  void emit(Square from, Bitboard to) {
    if constexpr (can_promote(kind)) {
      const bool leaves_zone = kFarRanks<us, 3>.contains(from);
      const Bitboard promotions = leaves_zone ? to : to & kFarRanks<us, 3>;
      for_each_square(promotions, [&](Square square) { *out_++ = Move::promotion(from, square); });
    }
    if constexpr (kind == Kind::Lance) {
      to = without(to, kFarRanks<us, 1>);
    } else if constexpr (kind == Kind::Knight) {
      to = without(to, kFarRanks<us, 2>);
    }
    for_each_square(to, [&](Square square) { *out_++ = Move::board(from, square); });
  }

  void drops(Bitboard empty) {
    if (position_.hand(us).has(Kind::Pawn)) {
      pawn_drops(empty);
    }
    // Knight and lance first: the far ranks start behind them.
    std::array<std::uint16_t, kHandKindCount> held;
    std::size_t count = 0;
    std::size_t behind_knight = 0;
    std::size_t behind_lance = 0;
    const auto hold = [&](Kind kind) {
      if (position_.hand(us).has(kind)) {
        held[count++] = Move::drop(kind, 0).bits;
      }
    };
    hold(Kind::Knight);
    behind_knight = count;
    hold(Kind::Lance);
    behind_lance = count;
    for (const Kind kind : {Kind::Silver, Kind::Gold, Kind::Bishop, Kind::Rook}) {
      hold(kind);
    }
    const auto drop_on = [&](Bitboard squares, std::size_t first) {
      if (first == count) {
        return;
      }
      for_each_square(squares, [&](Square to) {
        for (std::size_t i = first; i < count; ++i) {
          *out_++ = {static_cast<std::uint16_t>(held[i] | to)};
        }
      });
    };
    drop_on(empty & kFarRanks<us, 1>, behind_lance);
    drop_on(without(empty & kFarRanks<us, 2>, kFarRanks<us, 1>), behind_knight);
    drop_on(without(empty, kFarRanks<us, 2>), 0);
  }

  void pawn_drops(Bitboard empty) {
    Bitboard to =
        without(empty & files_without(position_.pieces(us, Kind::Pawn)), kFarRanks<us, 1>);
    const Bitboard checking = step_attacks<kThem, Step::Pawn>(position_.king(kThem)) & to;
    if (!checking.empty() && drop_pawn_mates<us>(position_, checking.first())) {
      to ^= checking;
    }
    for_each_square(to, [&](Square square) { *out_++ = Move::drop(Kind::Pawn, square); });
  }

  const Position& position_;
  Move* out_;
  const Square king_;
  const Bitboard occupied_;
  const Bitboard own_;
  Bitboard free_;      // own pieces that are not pinned
  Bitboard pinned_{};  // own pieces
  Bitboard checkers_{};
  Bitboard targets_{};  // where a piece other than the king may go
};

}  // namespace

void generate_legal(const Position& position, MoveList& moves) {
  Move* const begin = moves.moves_.data();
  Move* const end = position.side() == Color::Black
                        ? Generator<Color::Black>(position, begin).run()
                        : Generator<Color::White>(position, begin).run();
  moves.size_ = static_cast<std::size_t>(end - begin);
}

}  // namespace keisei::shogi
