#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/spec.h"

namespace keisei::net {

/// The function that a spec names, over tensors in the order of tensor_table. For the inside of
/// this module: it shows LibTorch.
class Network {
 public:
  /// Views of `flat` [parameter_count] float32: they follow its changes. With `differentiable` they
  /// are leaves that autograd derives by. Computes on the device where `flat` lies.
  Network(const NetSpec& spec, const at::Tensor& flat, bool differentiable);

  struct Output {
    at::Tensor policy;  // [N][2187]
    at::Tensor wdl;     // [N][3]
  };
  /// `planes` is [N][48][9][9] float32 on `device()`.
  [[nodiscard]] Output forward(const at::Tensor& planes) const;

  [[nodiscard]] const std::vector<at::Tensor>& parameters() const { return parameters_; }
  [[nodiscard]] const NetSpec& spec() const { return spec_; }
  [[nodiscard]] at::Device device() const { return parameters_.front().device(); }

 private:
  NetSpec spec_;
  std::vector<at::Tensor> parameters_;
};

/// The flat tensor [size] float32 over memory on `device` that the tensor owns.
[[nodiscard]] at::Tensor flat_copy(std::span<const float> values, at::Device device = at::kCPU);

/// Runs `work`; what LibTorch throws in it becomes «LibTorch failed <doing>: ...».
[[nodiscard]] Result<void> caught(std::string_view doing, const std::function<void()>& work);

}  // namespace keisei::net
