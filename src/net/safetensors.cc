#include "net/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/check.h"

namespace keisei::net {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

using nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kAlignment = 64;
// The reference implementation's limit; a larger header is an attack or no safetensors.
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr int kMaxJsonDepth = 4;  // header, tensor, shape; one to spare

struct DTypeName {
  DType dtype;
  std::string_view name;
  std::size_t size;
};
constexpr std::array<DTypeName, 8> kDTypes = {{{DType::F32, "F32", 4},
                                               {DType::F64, "F64", 8},
                                               {DType::I32, "I32", 4},
                                               {DType::I64, "I64", 8},
                                               {DType::U8, "U8", 1},
                                               {DType::U16, "U16", 2},
                                               {DType::U32, "U32", 4},
                                               {DType::U64, "U64", 8}}};

const DTypeName& entry_of(DType dtype) {
  return *std::ranges::find(kDTypes, dtype, &DTypeName::dtype);
}

/// Stops before nlohmann builds a deep value; duplicate keys are refused too.
class HeaderFilter {
 public:
  bool operator()(int depth, json::parse_event_t event, json& value) {
    if (depth > kMaxJsonDepth) {
      too_deep_ = true;
      return false;
    }
    if (event == json::parse_event_t::key && depth == 1) {
      names_.push_back(value.get<std::string>());
    }
    return true;
  }
  [[nodiscard]] bool accepted() {
    std::ranges::sort(names_);
    return !too_deep_ && std::ranges::adjacent_find(names_) == names_.end();
  }

 private:
  bool too_deep_ = false;
  std::vector<std::string> names_;
};

Result<json> parse_header(std::string_view text) {
  HeaderFilter filter;
  json header = json::parse(
      text,
      [&filter](int depth, json::parse_event_t event, json& value) {
        return filter(depth, event, value);
      },
      false);
  if (header.is_discarded() || !header.is_object() || !filter.accepted()) {
    return fail("not safetensors: the header is no JSON object of tensors");
  }
  return header;
}

std::optional<std::uint64_t> as_count(const json& value) {
  if (!value.is_number_unsigned()) {
    return std::nullopt;
  }
  return value.get<std::uint64_t>();
}

/// The elements of `shape`, or nothing where they overflow what a file can hold.
std::optional<std::uint64_t> element_count(const std::vector<std::int64_t>& shape) {
  std::uint64_t count = 1;
  for (const std::int64_t extent : shape) {
    const auto size = static_cast<std::uint64_t>(extent);
    if (size != 0 && count > std::numeric_limits<std::int64_t>::max() / size) {
      return std::nullopt;
    }
    count *= size;
  }
  return count;
}

Result<std::vector<std::int64_t>> read_shape(const std::string& name, const json& shape) {
  std::vector<std::int64_t> result;
  if (!shape.is_array()) {
    return fail("not safetensors: tensor {} has no shape", name);
  }
  for (const json& extent : shape) {
    const std::optional<std::uint64_t> size = as_count(extent);
    if (!size || *size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return fail("not safetensors: tensor {} has a bad shape", name);
    }
    result.push_back(static_cast<std::int64_t>(*size));
  }
  return result;
}

Result<TensorView> read_tensor(const std::string& name, const json& entry,
                               std::span<const std::byte> data) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets") || !entry["dtype"].is_string()) {
    return fail("not safetensors: tensor {} lacks dtype, shape or data_offsets", name);
  }
  const std::string dtype_name = entry["dtype"].get<std::string>();
  const auto* const dtype = std::ranges::find(kDTypes, dtype_name, &DTypeName::name);
  if (dtype == kDTypes.end()) {
    return fail("tensor {} has the element type {}, which is not supported", name, dtype_name);
  }
  KEISEI_TRY(shape, read_shape(name, entry["shape"]));
  const json& offsets = entry["data_offsets"];
  const bool pair = offsets.is_array() && offsets.size() == 2;
  const std::optional<std::uint64_t> begin = pair ? as_count(offsets[0]) : std::nullopt;
  const std::optional<std::uint64_t> end = pair ? as_count(offsets[1]) : std::nullopt;
  if (!begin || !end || *begin > *end) {
    return fail("not safetensors: tensor {} has bad data_offsets", name);
  }
  if (*end > data.size()) {
    return fail("truncated: tensor {} ends at byte {} of the data, which has {}", name, *end,
                data.size());
  }
  const std::optional<std::uint64_t> elements = element_count(shape);
  const std::uint64_t size = *end - *begin;
  if (!elements || size % dtype->size != 0 || size / dtype->size != *elements) {
    return fail("not safetensors: the size of tensor {} does not agree with its shape", name);
  }
  return TensorView{.name = name,
                    .dtype = dtype->dtype,
                    .shape = std::move(shape),
                    .bytes = data.subspan(*begin, size)};
}

Result<void> check_cover(const SafetensorsView& view, std::span<const std::byte> data) {
  const std::byte* position = data.data();
  for (const TensorView& tensor : view.tensors) {
    if (tensor.bytes.data() != position) {
      return fail("not safetensors: tensor {} overlaps another or leaves a gap", tensor.name);
    }
    if (reinterpret_cast<std::uintptr_t>(position) % size_of(tensor.dtype) != 0) {
      return fail("tensor {} is not aligned to its elements", tensor.name);
    }
    position += tensor.bytes.size();
  }
  if (position != data.data() + data.size()) {
    return fail("not safetensors: {} bytes after the last tensor",
                data.data() + data.size() - position);
  }
  return {};
}

Result<std::map<std::string, std::string>> read_metadata(const json& metadata) {
  std::map<std::string, std::string> result;
  if (!metadata.is_object()) {
    return fail("not safetensors: __metadata__ is no object");
  }
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) {
      return fail("not safetensors: the metadata {} is no text", key);
    }
    result.emplace(key, value.get<std::string>());
  }
  return result;
}

}  // namespace

std::size_t size_of(DType dtype) { return entry_of(dtype).size; }
std::string_view to_string(DType dtype) { return entry_of(dtype).name; }

const TensorView* SafetensorsView::find(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &TensorView::name);
  return found == tensors.end() ? nullptr : &*found;
}

Result<SafetensorsView> parse_safetensors(std::span<const std::byte> file) {
  std::uint64_t length = 0;
  if (file.size() < kLengthBytes) {
    return fail("truncated: {} bytes cannot be safetensors", file.size());
  }
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMaxHeader) {
    return fail("not safetensors: it claims a header of {} bytes", length);
  }
  if (length > file.size() - kLengthBytes) {
    return fail("truncated: a header of {} bytes in a file of {}", length, file.size());
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  KEISEI_TRY(header, parse_header(text));
  const std::span<const std::byte> data = file.subspan(kLengthBytes + length);
  SafetensorsView view;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      KEISEI_TRY(metadata, read_metadata(entry));
      view.metadata = std::move(metadata);
      continue;
    }
    KEISEI_TRY(tensor, read_tensor(name, entry, data));
    view.tensors.push_back(std::move(tensor));
  }
  // Empty tensors first, so that each stands where its neighbour begins.
  std::ranges::sort(view.tensors, [](const TensorView& a, const TensorView& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  KEISEI_TRY_VOID(check_cover(view, data));
  return view;
}

std::string safetensors_header(std::span<const TensorView> tensors,
                               const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const TensorView& tensor : tensors) {
    KEISEI_CHECK(!header.contains(tensor.name), "two tensors {}", tensor.name);
    const std::size_t end = offset + tensor.bytes.size();
    header[tensor.name] = {{"dtype", to_string(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  while ((kLengthBytes + text.size()) % kAlignment != 0) {
    text.push_back(' ');
  }
  const std::uint64_t length = text.size();
  std::string result(kLengthBytes, '\0');
  std::memcpy(result.data(), &length, kLengthBytes);
  return result + text;
}

std::vector<std::byte> serialise_safetensors(std::span<const TensorView> tensors,
                                             const std::map<std::string, std::string>& metadata) {
  const std::string header = safetensors_header(tensors, metadata);
  const std::span<const std::byte> head = std::as_bytes(std::span(header));
  std::vector<std::byte> file(head.begin(), head.end());
  for (const TensorView& tensor : tensors) {
    file.insert(file.end(), tensor.bytes.begin(), tensor.bytes.end());
  }
  return file;
}

}  // namespace keisei::net
