#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace keisei::net {

/// Element types of the format that are read and written here.
enum class DType { F32, F64, I32, I64, U8, U16, U32, U64 };

[[nodiscard]] std::size_t size_of(DType dtype);
[[nodiscard]] std::string_view to_string(DType dtype);

/// One tensor inside bytes that somebody else owns. Row-major, little-endian.
struct TensorView {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // the product of `shape` times size_of(dtype)
};

/// What a safetensors file says, without copying its data.
struct SafetensorsView {
  std::map<std::string, std::string> metadata;
  std::vector<TensorView> tensors;  // in the order of the data

  /// nullptr where there is none of that name.
  [[nodiscard]] const TensorView* find(std::string_view name) const;
};

/// Reads `u64 header length, JSON header, data` (huggingface/safetensors). Strict: the tensors must
/// cover the data exactly, without gap or overlap, each aligned to its element size; sizes must
/// agree with shapes. Fails on anything else; never reads outside `file`.
[[nodiscard]] Result<SafetensorsView> parse_safetensors(std::span<const std::byte> file);

/// Length and JSON header for `tensors` laid out one after the other; the data follow. Padded so
/// that the data start at a multiple of 64 bytes. Names must be unique.
[[nodiscard]] std::string safetensors_header(std::span<const TensorView> tensors,
                                             const std::map<std::string, std::string>& metadata);

/// The whole file.
[[nodiscard]] std::vector<std::byte> serialise_safetensors(
    std::span<const TensorView> tensors, const std::map<std::string, std::string>& metadata);

}  // namespace keisei::net
