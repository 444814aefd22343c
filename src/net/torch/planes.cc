#include "net/torch/planes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "shogi/types.h"

namespace keisei::net {
namespace {

using env::Observation;

constexpr std::int64_t kPieces = 28;  // kinds of pieces at a square, both sides
constexpr std::int64_t kRepetitions = 3;
constexpr std::int64_t kBytes = sizeof(Observation);
constexpr auto kHands = static_cast<std::int64_t>(std::tuple_size_v<decltype(Observation::hands)>);
static_assert(std::endian::native == std::endian::little);  // two_bytes

/// [N][count] uint8, a part of each observation.
at::Tensor bytes_at(const at::Tensor& packed, std::size_t offset, std::int64_t count = 1) {
  return packed.narrow(1, static_cast<std::int64_t>(offset), count);
}

/// [N][1] float32 of a uint16.
at::Tensor two_bytes(const at::Tensor& packed, std::size_t offset) {
  const at::Tensor low = bytes_at(packed, offset).to(at::kFloat);
  return low + bytes_at(packed, offset + 1).to(at::kFloat) * 256;
}

/// [14] float32: how many pieces of its kind there are, for each count of a hand.
at::Tensor most_in_hand(at::Device device) {
  std::array<float, kHands> most{};
  for (std::size_t i = 0; i < most.size(); ++i) {
    most[i] = static_cast<float>(shogi::kKindTotal[i % shogi::kHandKindCount + 1]);
  }
  return at::from_blob(most.data(), {kHands}, at::kFloat).clone().to(device);
}

/// [N][20] float32: the planes that are the same all over the board.
at::Tensor constant_planes(const at::Tensor& packed) {
  const at::Tensor hands = bytes_at(packed, offsetof(Observation, hands), kHands).to(at::kFloat) /
                           most_in_hand(packed.device());
  const at::Tensor from = at::arange(1, kRepetitions + 1, packed.options());
  const at::Tensor repetition =
      bytes_at(packed, offsetof(Observation, repetition)).ge(from).to(at::kFloat);
  const at::Tensor check = bytes_at(packed, offsetof(Observation, in_check)).ne(0).to(at::kFloat);
  const at::Tensor ply = two_bytes(packed, offsetof(Observation, ply)) /
                         two_bytes(packed, offsetof(Observation, ply_cap));
  return at::cat({hands, repetition, check, ply, at::ones_like(ply)}, 1);
}

}  // namespace

at::Tensor expand_packed(const at::Tensor& packed) {
  const std::int64_t n = packed.size(0);
  const at::Tensor constant = constant_planes(packed);
  at::Tensor planes =
      at::empty({n, env::kSquares, env::kPlanes}, packed.options().dtype(at::kFloat));
  const at::Tensor board = bytes_at(packed, offsetof(Observation, board), env::kSquares);
  const at::Tensor codes = at::arange(1, kPieces + 1, packed.options());
  planes.narrow(2, 0, kPieces).copy_(board.unsqueeze(2).eq(codes));
  planes.narrow(2, kPieces, env::kPlanes - kPieces).copy_(constant.unsqueeze(1));
  return planes.view({n, 9, 9, env::kPlanes}).permute({0, 3, 1, 2});
}

at::Tensor planes_of(std::span<const Observation> observations, at::Device device) {
  const auto n = static_cast<std::int64_t>(observations.size());
  if (!device.is_cpu()) {
    const at::Tensor packed = at::from_blob(const_cast<Observation*>(observations.data()),  // read
                                            {n, kBytes}, at::kByte);
    return expand_packed(packed.to(device));
  }
  at::Tensor planes =
      at::empty({n, env::kPlanes, 9, 9}, at::kFloat, at::MemoryFormat::ChannelsLast);
  env::expand_planes(observations,
                     {planes.data_ptr<float>(), static_cast<std::size_t>(planes.numel())});
  return planes;
}

}  // namespace keisei::net
