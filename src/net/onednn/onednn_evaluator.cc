#include "net/onednn/onednn_evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <utility>

#include "base/check.h"
#include "env/action_map.h"
#include "net/onednn/convolution.h"

// Of the OpenMP runtime that oneDNN uses; <omp.h> comes with one compiler only.
extern "C" void omp_set_num_threads(int threads);

namespace keisei::net {
namespace {

constexpr std::size_t kSquares = env::kSquares;

/// y = W x + b, W [outputs][inputs].
class Dense {
 public:
  Dense(std::span<const float> weights, std::span<const float> bias)
      : weights_(weights.begin(), weights.end()), bias_(bias.begin(), bias.end()) {}

  [[nodiscard]] std::size_t outputs() const { return bias_.size(); }

  void apply(std::span<const float> x, std::span<float> y) const {
    const float* row = weights_.data();
    for (std::size_t out = 0; out < y.size(); ++out, row += x.size()) {
      float sum = bias_[out];
#pragma omp simd reduction(+ : sum)
      for (std::size_t in = 0; in < x.size(); ++in) {
        sum += row[in] * x[in];
      }
      y[out] = sum;
    }
  }

 private:
  std::vector<float> weights_;
  std::vector<float> bias_;
};

void relu(std::span<float> values) {
  for (float& value : values) {
    value = std::max(value, 0.0F);
  }
}

struct Block {
  Convolution first;
  Convolution second;
  Dense squeeze;
  Dense excite;
};

/// Walks through the tensors in the order of tensor_table.
class Reader {
 public:
  explicit Reader(const WeightsView& view) : view_(view) {}
  std::span<const float> next() { return view_.tensors.at(position_++); }
  Dense dense() {
    const std::span<const float> weights = next();
    return {weights, next()};
  }
  Convolution convolution(const dnnl::engine& engine, const ConvolutionShape& shape) {
    const std::span<const float> weights = next();
    return {engine, shape, weights, next()};
  }

 private:
  const WeightsView& view_;
  std::size_t position_ = 0;
};

/// The smallest of kBatchSizes that holds `positions`, which is at most kLargestBatch.
int padded_size(int positions) {
  for (const int size : kBatchSizes) {
    if (size >= positions) {
      return size;
    }
  }
  return kLargestBatch;
}

/// out = ReLU(in + scale * residual) for one position, [81][channels] each.
void add_scaled(std::span<float> in_out, std::span<const float> residual,
                std::span<const float> scale) {
  const std::size_t channels = scale.size();
  for (std::size_t square = 0; square < kSquares; ++square) {
    float* const x = in_out.data() + square * channels;
    const float* const r = residual.data() + square * channels;
#pragma omp simd
    for (std::size_t c = 0; c < channels; ++c) {
      const float sum = x[c] + scale[c] * r[c];
      x[c] = sum > 0.0F ? sum : 0.0F;
    }
  }
}

void mean_over_squares(std::span<const float> position, std::span<float> mean) {
  const std::size_t channels = mean.size();
  std::ranges::fill(mean, 0.0F);
  for (std::size_t square = 0; square < kSquares; ++square) {
    const float* const x = position.data() + square * channels;
#pragma omp simd
    for (std::size_t c = 0; c < channels; ++c) {
      mean[c] += x[c];
    }
  }
  for (float& value : mean) {
    value /= static_cast<float>(kSquares);
  }
}

/// [81][channels], `count` channels from `first` on, becomes [count][81].
void planes_first(std::span<const float> position, std::size_t channels, std::size_t first,
                  std::span<float> planes) {
  const std::size_t count = planes.size() / kSquares;
  for (std::size_t plane = 0; plane < count; ++plane) {
    for (std::size_t square = 0; square < kSquares; ++square) {
      planes[plane * kSquares + square] = position[square * channels + first + plane];
    }
  }
}

std::vector<float> joined(std::span<const float> a, std::span<const float> b) {
  std::vector<float> both(a.begin(), a.end());
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

}  // namespace

class OneDnnEvaluator::Impl {
 public:
  Impl(const WeightsView& weights, int threads) : Impl(weights.spec, threads, Reader(weights)) {}

  void evaluate_all(std::span<const env::Observation> observations, std::span<float> policy,
                    std::span<float> wdl) {
    while (!observations.empty()) {
      const std::size_t n = std::min<std::size_t>(observations.size(), kLargestBatch);
      evaluate(observations.first(n), policy.first(n * kPolicyLogits), wdl.first(n * kWdlLogits));
      observations = observations.subspan(n);
      policy = policy.subspan(n * kPolicyLogits);
      wdl = wdl.subspan(n * kWdlLogits);
    }
  }

 private:
  void evaluate(std::span<const env::Observation> observations, std::span<float> policy,
                std::span<float> wdl) {
    omp_set_num_threads(threads_);
    const int batch = padded_size(static_cast<int>(observations.size()));
    const std::size_t used = observations.size() * static_cast<std::size_t>(env::kPlaneFloats);
    const std::size_t padded = static_cast<std::size_t>(batch) * env::kPlaneFloats;
    env::expand_planes(observations, std::span(input_).first(used));
    std::ranges::fill(std::span(input_).first(padded).subspan(used), 0.0F);
    stem_.run(stream_, batch, input_.data(), trunk_.data());
    for (Block& block : blocks_) {
      run_block(block, batch);
    }
    heads_.run(stream_, batch, trunk_.data(), head_.data());
    stream_.wait();
    for (std::size_t i = 0; i < observations.size(); ++i) {
      run_heads(i, policy.subspan(i * kPolicyLogits, kPolicyLogits),
                wdl.subspan(i * kWdlLogits, kWdlLogits));
    }
  }

  Impl(const NetSpec& spec, int threads, Reader reader)
      : spec_(spec),
        threads_(threads),
        engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_),
        stem_(reader.convolution(engine_, {env::kPlanes, spec.channels, 3, true})),
        blocks_(read_blocks(reader)),
        heads_(read_heads(reader)),
        hidden_(reader.dense()),
        wdl_(reader.dense()) {
    const std::size_t cells = kLargestBatch * kSquares;
    const auto channels = static_cast<std::size_t>(spec.channels);
    input_.resize(cells * env::kPlanes);
    trunk_.resize(cells * channels);
    inner_.resize(cells * channels);
    residual_.resize(cells * channels);
    head_.resize(cells * head_channels());
    scratch_.resize(std::max(channels, hidden_.outputs()) * 3 +
                    kSquares * static_cast<std::size_t>(spec.value_planes()));
  }

  [[nodiscard]] std::size_t head_channels() const {
    return static_cast<std::size_t>(env::kActionPlanes + spec_.value_planes());
  }

  std::vector<Block> read_blocks(Reader& reader) {
    std::vector<Block> blocks;
    const int width = spec_.channels;
    for (int i = 0; i < spec_.blocks; ++i) {
      Convolution first = reader.convolution(engine_, {width, width, 3, true});
      Convolution second = reader.convolution(engine_, {width, width, 3, false});
      Dense squeeze = reader.dense();
      Dense excite = reader.dense();
      blocks.push_back(
          {std::move(first), std::move(second), std::move(squeeze), std::move(excite)});
    }
    return blocks;
  }

  /// Both heads' 1x1 convolutions are one: they read the trunk once.
  Convolution read_heads(Reader& reader) {
    const std::span<const float> policy_weights = reader.next();
    const std::span<const float> policy_bias = reader.next();
    const std::span<const float> value_weights = reader.next();
    const std::span<const float> value_bias = reader.next();
    return {engine_,
            {spec_.channels, static_cast<int>(head_channels()), 1, false},
            joined(policy_weights, value_weights),
            joined(policy_bias, value_bias)};
  }

  void run_block(Block& block, int batch) {
    block.first.run(stream_, batch, trunk_.data(), inner_.data());
    block.second.run(stream_, batch, inner_.data(), residual_.data());
    stream_.wait();
    const auto channels = static_cast<std::size_t>(spec_.channels);
    const std::span<float> mean = std::span(scratch_).first(channels);
    const std::span<float> scale = std::span(scratch_).subspan(channels, channels);
    const std::span<float> squeezed =
        std::span(scratch_).subspan(2 * channels, block.squeeze.outputs());
    for (std::size_t i = 0; i < static_cast<std::size_t>(batch); ++i) {
      const std::span<const float> residual =
          std::span(residual_).subspan(i * kSquares * channels, kSquares * channels);
      mean_over_squares(residual, mean);
      block.squeeze.apply(mean, squeezed);
      relu(squeezed);
      block.excite.apply(squeezed, scale);
      for (float& value : scale) {
        value = 1.0F / (1.0F + std::exp(-value));
      }
      add_scaled(std::span(trunk_).subspan(i * kSquares * channels, kSquares * channels), residual,
                 scale);
    }
  }

  void run_heads(std::size_t i, std::span<float> policy, std::span<float> wdl) {
    const std::size_t channels = head_channels();
    const std::span<const float> position =
        std::span(head_).subspan(i * kSquares * channels, kSquares * channels);
    planes_first(position, channels, 0, policy);
    const std::span<float> hidden = std::span(scratch_).first(hidden_.outputs());
    const std::span<float> flat = std::span(scratch_).subspan(
        hidden_.outputs(), kSquares * static_cast<std::size_t>(spec_.value_planes()));
    planes_first(position, channels, env::kActionPlanes, flat);
    relu(flat);
    hidden_.apply(flat, hidden);
    relu(hidden);
    wdl_.apply(hidden, wdl);
  }

  NetSpec spec_;
  int threads_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  Convolution stem_;
  std::vector<Block> blocks_;
  Convolution heads_;
  Dense hidden_;
  Dense wdl_;
  std::vector<float> input_;     // [64][81][48]
  std::vector<float> trunk_;     // [64][81][channels]
  std::vector<float> inner_;     // the same, between a block's convolutions
  std::vector<float> residual_;  // the same, after them
  std::vector<float> head_;      // [64][81][27 + value planes]
  std::vector<float> scratch_;
};

OneDnnEvaluator::OneDnnEvaluator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OneDnnEvaluator::~OneDnnEvaluator() = default;

Result<std::unique_ptr<OneDnnEvaluator>> OneDnnEvaluator::create(const WeightsView& weights,
                                                                 int threads) {
  KEISEI_CHECK(threads >= 1, "{} threads", threads);
  try {
    return std::unique_ptr<OneDnnEvaluator>(
        new OneDnnEvaluator(std::make_unique<Impl>(weights, threads)));
  } catch (const std::exception& error) {  // dnnl::error or no memory
    return fail("oneDNN cannot run a {} network: {}", to_string(weights.spec), error.what());
  }
}

Result<void> OneDnnEvaluator::evaluate(std::span<const env::Observation> observations,
                                       std::span<float> policy_logits,
                                       std::span<float> wdl_logits) {
  KEISEI_CHECK(!observations.empty() &&
                   policy_logits.size() == observations.size() * kPolicyLogits &&
                   wdl_logits.size() == observations.size() * kWdlLogits,
               "{} observations, {} policy and {} WDL logits", observations.size(),
               policy_logits.size(), wdl_logits.size());
  try {
    impl_->evaluate_all(observations, policy_logits, wdl_logits);
    return {};
  } catch (const std::exception& error) {  // its primitives are made as batch sizes are first seen
    return fail("oneDNN failed on {} positions: {}", observations.size(), error.what());
  }
}

}  // namespace keisei::net
