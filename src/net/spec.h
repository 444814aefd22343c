#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace keisei::net {

/// The architecture of the network, named bNcM as in «b2c32»: a 3x3 stem into `channels`, `blocks`
/// residual blocks (conv3x3 - ReLU - conv3x3 - squeeze-excite - add - ReLU), a policy of 27 planes
/// and a value of three logits. No batch norm: rollout and update are the same function.
struct NetSpec {
  int blocks = 2;     // [1, 64]
  int channels = 32;  // [16, 512], a multiple of 16 (the width of a vector of floats)

  friend constexpr auto operator<=>(const NetSpec&, const NetSpec&) = default;

  /// Width of the squeeze inside each block.
  [[nodiscard]] constexpr int squeeze() const { return channels / 8 < 8 ? 8 : channels / 8; }
  /// Planes of the value head's 1x1 convolution.
  [[nodiscard]] constexpr int value_planes() const { return channels / 8 < 8 ? 8 : channels / 8; }
  /// Width of the value head's hidden layer.
  [[nodiscard]] constexpr int value_hidden() const {
    return 2 * channels > 256 ? 256 : 2 * channels;
  }
};

/// Reads «b2c32», «b4c64», «b10c128». Fails (Usage) on anything else, naming valid ones.
[[nodiscard]] Result<NetSpec> parse_net_spec(std::string_view text);

/// «b2c32».
[[nodiscard]] std::string to_string(const NetSpec& spec);

/// One tensor of the network. All are float32, row-major; convolutions are [out][in][kh][kw], dense
/// layers [out][in].
struct TensorInfo {
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t elements = 0;
  std::int64_t offset = 0;      // of the first float in the flat weights
  float initial_deviation = 0;  // standard deviation of the initial normal draw; 0: zeros
};

/// Every tensor in the order of the flat weights, which is also the order in a file. The one table
/// that the learner, the evaluators and the check of a snapshot share.
[[nodiscard]] std::vector<TensorInfo> tensor_table(const NetSpec& spec);

[[nodiscard]] std::int64_t parameter_count(const NetSpec& spec);

/// Fresh flat weights [parameter_count], a pure function of spec and seed. Fixup-like (Zhang et al.
/// 2019): He in the stem and in each block's first convolution, the latter over sqrt(blocks); zero
/// in its second, so that a block starts as the identity; a near-uniform policy, a near-equal WDL.
[[nodiscard]] std::vector<float> initial_weights(const NetSpec& spec, std::uint64_t seed);

}  // namespace keisei::net
