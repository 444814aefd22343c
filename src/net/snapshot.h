#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "net/safetensors.h"
#include "net/spec.h"

namespace keisei::net {

/// The weights of one network where a snapshot has them: valid as long as the snapshot lives.
struct WeightsView {
  NetSpec spec;
  std::uint64_t step = 0;
  std::vector<std::span<const float>> tensors;  // in the order of tensor_table(spec)
};

/// The weights at one training step, immutable: safetensors bytes in a sealed memfd or in a file,
/// mapped read-only. Movable; owns the descriptor and the mapping. Made on one thread, then
/// readable from any.
class Snapshot {
 public:
  /// Copies `safetensors` into a new memfd and seals it (write, grow, shrink, seal). The memfd is
  /// never mapped writable, hence the seal cannot fail for that. Fails where there is no memory or
  /// the bytes are no snapshot.
  [[nodiscard]] static Result<Snapshot> seal(std::span<const std::byte> safetensors);

  /// Opens and maps a file. Fails, with one message that names it, where it is missing, truncated,
  /// not safetensors or without the metadata of a snapshot.
  [[nodiscard]] static Result<Snapshot> from_file(const std::filesystem::path& path);

  /// Maps what `fd` refers to: a memfd, which must be sealed, or a regular file.
  [[nodiscard]] static Result<Snapshot> from_fd(UniqueFd fd);

  Snapshot(Snapshot&& other) noexcept;
  Snapshot& operator=(Snapshot&& other) noexcept;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

  [[nodiscard]] const NetSpec& spec() const { return spec_; }
  [[nodiscard]] std::uint64_t step() const { return step_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  /// To hand to another process (SCM_RIGHTS or inheritance). The snapshot keeps owning it.
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// XXH3-128 of all bytes as 32 hex digits. Reads everything: 10 GB/s.
  [[nodiscard]] std::string content_hash() const;

  /// The tensors and metadata as they stand in the file, including what belongs to training only.
  [[nodiscard]] const SafetensorsView& contents() const { return contents_; }

  /// Every tensor of the architecture that the metadata names. Fails where one is missing, of
  /// another shape, not float32 or not finite.
  [[nodiscard]] Result<WeightsView> weights() const;

  /// The same, for a reader that has a network of architecture `expected` already. Fails (Usage),
  /// naming both, where the snapshot holds another.
  [[nodiscard]] Result<WeightsView> weights_for(const NetSpec& expected) const;

 private:
  Snapshot() = default;
  void unmap() noexcept;

  UniqueFd fd_;
  std::span<const std::byte> bytes_;  // the mapping
  SafetensorsView contents_;          // views into the mapping
  NetSpec spec_;
  std::uint64_t step_ = 0;
};

/// Metadata that makes a safetensors file a snapshot: format, architecture, step.
[[nodiscard]] std::map<std::string, std::string> snapshot_metadata(const NetSpec& spec,
                                                                   std::uint64_t step);

/// `flat` [parameter_count] float32, cut into the tensors of `spec`: what to serialise. Views.
[[nodiscard]] std::vector<TensorView> weight_tensors(const NetSpec& spec,
                                                     std::span<const float> flat);

/// Writes a snapshot of `flat` into a sealed memfd and gives its descriptor, without mapping or
/// reading it back: what the training thread can afford (under 1 ms for b4c64).
[[nodiscard]] Result<UniqueFd> seal_weights(const NetSpec& spec, std::uint64_t step,
                                            std::span<const float> flat);

}  // namespace keisei::net
