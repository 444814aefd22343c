#pragma once

#include <dnnl.hpp>
#include <span>
#include <vector>

namespace keisei::net {

/// The padded sizes of a batch. The smallest one that holds it is taken.
inline constexpr int kBatchSizes[] = {8, 16, 32, 64};
inline constexpr int kLargestBatch = 64;

/// [N][9][9][channels] float32.
[[nodiscard]] dnnl::memory::desc activations_desc(int batch, int channels);

/// What a convolution over the board is. Stride 1, padded so that the board stays 9x9.
struct ConvolutionShape {
  int inputs = 0;
  int outputs = 0;
  int kernel = 3;  // 1 or 3
  bool relu = false;
};

/// One convolution with bias, for every batch size. Weights are reordered once into what the first
/// batch size prefers; the others take the same.
class Convolution {
 public:
  /// `weights` is [outputs][inputs][kernel][kernel], `bias` [outputs]; both are copied.
  Convolution(const dnnl::engine& engine, const ConvolutionShape& shape,
              std::span<const float> weights, std::span<const float> bias);

  /// from [batch][9][9][inputs] to [batch][9][9][outputs]; `batch` is one of kBatchSizes.
  void run(dnnl::stream& stream, int batch, float* from, float* to);

 private:
  struct Sized {
    int batch = 0;
    dnnl::convolution_forward primitive;
    dnnl::memory from;
    dnnl::memory to;
  };
  Sized& sized(dnnl::stream& stream, int batch);
  dnnl::convolution_forward::primitive_desc describe(int batch) const;

  dnnl::engine engine_;
  ConvolutionShape shape_;
  std::vector<float> plain_weights_;  // until the first batch size is known
  std::vector<float> bias_values_;
  dnnl::memory weights_;
  dnnl::memory bias_;
  std::vector<Sized> sizes_;
};

}  // namespace keisei::net
