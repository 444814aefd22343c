#include "net/torch/network.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <exception>

namespace keisei::net {
namespace {

/// Walks through the parameters in the order of tensor_table.
class Reader {
 public:
  explicit Reader(const std::vector<at::Tensor>& parameters) : next_(parameters.begin()) {}

  at::Tensor convolve(const at::Tensor& x) {
    const at::Tensor& weight = *next_++;
    const at::Tensor& bias = *next_++;
    return at::conv2d(x, weight, bias, 1, weight.size(2) / 2);
  }
  at::Tensor apply_dense(const at::Tensor& x) {
    const at::Tensor& weight = *next_++;
    const at::Tensor& bias = *next_++;
    return at::linear(x, weight, bias);
  }

 private:
  std::vector<at::Tensor>::const_iterator next_;
};

}  // namespace

Network::Network(const NetSpec& spec, const at::Tensor& flat, bool differentiable) : spec_(spec) {
  for (const TensorInfo& info : tensor_table(spec)) {
    at::Tensor view = flat.detach().narrow(0, info.offset, info.elements).view(info.shape);
    parameters_.push_back(view.set_requires_grad(differentiable));
  }
}

Network::Output Network::forward(const at::Tensor& planes) const {
  Reader reader(parameters_);
  at::Tensor x = at::relu(reader.convolve(planes));
  for (int block = 0; block < spec_.blocks; ++block) {
    const at::Tensor inner = at::relu(reader.convolve(x));
    const at::Tensor residual = reader.convolve(inner);
    const at::Tensor squeezed = at::relu(reader.apply_dense(residual.mean({2, 3})));
    const at::Tensor scale = at::sigmoid(reader.apply_dense(squeezed));
    x = at::relu(x + residual * scale.unsqueeze(2).unsqueeze(3));
  }
  const at::Tensor policy = reader.convolve(x).contiguous().flatten(1);
  const at::Tensor value = at::relu(reader.convolve(x)).contiguous().flatten(1);
  const at::Tensor hidden = at::relu(reader.apply_dense(value));
  return {.policy = policy, .wdl = reader.apply_dense(hidden)};
}

Result<void> caught(std::string_view doing, const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const c10::Error& error) {
    return fail("LibTorch failed {}: {}", doing, error.what_without_backtrace());
  } catch (const std::exception& error) {  // no memory, or of a library below it
    return fail("LibTorch failed {}: {}", doing, error.what());
  }
}

at::Tensor flat_copy(std::span<const float> values, at::Device device) {
  at::Tensor flat = at::empty({static_cast<std::int64_t>(values.size())}, at::kFloat);
  std::ranges::copy(values, flat.data_ptr<float>());
  return flat.to(device);
}

}  // namespace keisei::net
