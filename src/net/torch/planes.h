#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <span>

#include "env/observation.h"

namespace keisei::net {

/// What a network sees of `observations`: [N][48][9][9] float32 on `device`, channels last, as
/// env::expand_planes says. For the CPU they are expanded by it; to another device go the 102 bytes
/// of each observation, not its 15,552, and they are expanded there, to the same floats.
[[nodiscard]] at::Tensor planes_of(std::span<const env::Observation> observations,
                                   at::Device device);

/// The expansion in tensor operations, where `packed` lies: uint8 [N][sizeof(env::Observation)],
/// the observations' bytes. Any device, the CPU too.
[[nodiscard]] at::Tensor expand_packed(const at::Tensor& packed);

}  // namespace keisei::net
