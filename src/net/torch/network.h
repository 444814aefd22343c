#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "env/observation.h"
#include "net/spec.h"

namespace keisei::net {

/// The function that a spec names, over tensors in the order of tensor_table. For the inside of
/// this module: it shows LibTorch.
class Network {
 public:
  /// Views of `flat` [parameter_count] float32: they follow its changes. With `differentiable` they
  /// are leaves that autograd derives by.
  Network(const NetSpec& spec, const at::Tensor& flat, bool differentiable);

  struct Output {
    at::Tensor policy;  // [N][2187]
    at::Tensor wdl;     // [N][3]
  };
  /// `planes` is [N][48][9][9] float32.
  [[nodiscard]] Output forward(const at::Tensor& planes) const;

  [[nodiscard]] const std::vector<at::Tensor>& parameters() const { return parameters_; }
  [[nodiscard]] const NetSpec& spec() const { return spec_; }

 private:
  NetSpec spec_;
  std::vector<at::Tensor> parameters_;
};

/// [N][48][9][9] float32, channels last.
[[nodiscard]] at::Tensor planes_of(std::span<const env::Observation> observations);

/// The flat tensor [size] float32 over memory that the tensor owns.
[[nodiscard]] at::Tensor flat_copy(std::span<const float> values);

/// Runs `work`; what LibTorch throws in it becomes «LibTorch failed <doing>: ...».
[[nodiscard]] Result<void> caught(std::string_view doing, const std::function<void()>& work);

}  // namespace keisei::net
