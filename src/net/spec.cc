#include "net/spec.h"

#include <charconv>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/rng.h"
#include "env/action_map.h"
#include "env/observation.h"

namespace keisei::net {
namespace {

constexpr int kMaxBlocks = 64;
constexpr int kMaxChannels = 512;
constexpr int kChannelStep = 16;
// Of the 48 * 9 inputs of a stem window about as many are not zero as the window has squares and
// the planes of hands and plies have cells: He's deviation counts those, not the zeros.
constexpr int kActiveInputs = 16;
// Small enough that a fresh policy is uniform within a few per cent and a fresh value near zero.
constexpr float kHeadDeviation = 0.01F;

/// Reads a number up to `limit` after `letter`; 0 where there is none. Advances `text`.
int read_count(std::string_view& text, char letter, int limit) {
  if (text.empty() || text.front() != letter) {
    return 0;
  }
  int value = 0;
  const char* const begin = text.data() + 1;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || *begin == '0' || value < 1 || value > limit) {
    return 0;
  }
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return value;
}

float he_deviation(std::int64_t fan_in) { return std::sqrt(2.0F / static_cast<float>(fan_in)); }

class TableBuilder {
 public:
  void add(std::string name, std::vector<std::int64_t> shape, float deviation) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : shape) {
      elements *= extent;
    }
    table_.push_back({.name = std::move(name),
                      .shape = std::move(shape),
                      .elements = elements,
                      .offset = offset_,
                      .initial_deviation = deviation});
    offset_ += elements;
  }

  void add_layer(const std::string& name, const std::vector<std::int64_t>& shape, float deviation) {
    add(name + ".weight", shape, deviation);
    add(name + ".bias", {shape.front()}, 0);
  }

  std::vector<TensorInfo> take() { return std::move(table_); }

 private:
  std::vector<TensorInfo> table_;
  std::int64_t offset_ = 0;
};

/// A standard normal draw (Box and Muller 1958).
float normal_draw(Rng& rng) {
  const double u = 1.0 - rng.uniform();  // in (0, 1], so that the logarithm is finite
  const double angle = 2.0 * std::numbers::pi * rng.uniform();
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(angle));
}

}  // namespace

Result<NetSpec> parse_net_spec(std::string_view text) {
  std::string_view rest = text;
  const int blocks = read_count(rest, 'b', kMaxBlocks);
  const int channels = blocks > 0 ? read_count(rest, 'c', kMaxChannels) : 0;
  if (channels == 0 || channels % kChannelStep != 0 || !rest.empty()) {
    return usage_error(
        "\"{}\" is no network: write bNcM with N blocks in 1..{} and M channels, a multiple of {} "
        "up to {}, as in b2c32, b4c64, b6c64, b10c128, b20c256",
        text, kMaxBlocks, kChannelStep, kMaxChannels);
  }
  return NetSpec{.blocks = blocks, .channels = channels};
}

std::string to_string(const NetSpec& spec) {
  return fmt::format("b{}c{}", spec.blocks, spec.channels);
}

std::vector<TensorInfo> tensor_table(const NetSpec& spec) {
  TableBuilder builder;
  const std::int64_t width = spec.channels;
  builder.add_layer("stem", {width, env::kPlanes, 3, 3}, he_deviation(kActiveInputs));
  const float first = he_deviation(width * 9) / std::sqrt(static_cast<float>(spec.blocks));
  for (int block = 0; block < spec.blocks; ++block) {
    const std::string prefix = fmt::format("block{}.", block);
    builder.add_layer(prefix + "conv1", {width, width, 3, 3}, first);
    builder.add_layer(prefix + "conv2", {width, width, 3, 3}, 0);
    builder.add_layer(prefix + "squeeze", {spec.squeeze(), width}, he_deviation(width));
    builder.add_layer(prefix + "excite", {width, spec.squeeze()}, he_deviation(spec.squeeze()));
  }
  const std::int64_t value_inputs = static_cast<std::int64_t>(spec.value_planes()) * env::kSquares;
  builder.add_layer("policy", {env::kActionPlanes, width, 1, 1}, kHeadDeviation);
  builder.add_layer("value.conv", {spec.value_planes(), width, 1, 1}, he_deviation(width));
  builder.add_layer("value.hidden", {spec.value_hidden(), value_inputs},
                    he_deviation(value_inputs));
  builder.add_layer("value.wdl", {3, spec.value_hidden()}, kHeadDeviation);
  return builder.take();
}

std::int64_t parameter_count(const NetSpec& spec) {
  const std::vector<TensorInfo> table = tensor_table(spec);
  return table.back().offset + table.back().elements;
}

std::vector<float> initial_weights(const NetSpec& spec, std::uint64_t seed) {
  std::vector<float> weights(static_cast<std::size_t>(parameter_count(spec)), 0.0F);
  std::uint64_t number = 0;
  for (const TensorInfo& tensor : tensor_table(spec)) {
    Rng rng(seed, stream_of(Purpose::Weights, number++));
    if (tensor.initial_deviation == 0) {
      continue;
    }
    for (std::int64_t i = 0; i < tensor.elements; ++i) {
      weights[static_cast<std::size_t>(tensor.offset + i)] =
          tensor.initial_deviation * normal_draw(rng);
    }
  }
  return weights;
}

}  // namespace keisei::net
