#include "net/snapshot.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/file.h"

namespace keisei::net {
namespace {

constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
constexpr const char* kFormat = "keisei-weights-1";

Result<UniqueFd> seal_pieces(std::span<const std::span<const std::byte>> pieces) {
  UniqueFd fd(::memfd_create("keisei-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) {
    return fail_errno("creating a memfd for a snapshot");
  }
  for (const std::span<const std::byte> piece : pieces) {
    if (Result<void> written = write_all(fd.get(), piece); !written) {
      return with_context(std::move(written).error(), "writing a snapshot into a memfd");
    }
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return fail_errno("sealing a snapshot");
  }
  return fd;
}

/// Only what cannot shrink under the mapping may be mapped: a shrinking one kills its reader.
Result<void> check_immutable(int fd, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) {
    return fail("a snapshot must be a file or a sealed memfd");
  }
  const int seals = ::fcntl(fd, F_GET_SEALS);
  const bool in_memory = seals >= 0 && (seals & F_SEAL_SEAL) != 0;
  constexpr int kNeeded = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
  // A file on a tmpfs answers F_GET_SEALS too, with F_SEAL_SEAL alone: it is a file like any other.
  const bool file_on_tmpfs = in_memory && (seals & kNeeded) == 0 && status.st_nlink > 0;
  if (seals >= 0 && (seals & kNeeded) != kNeeded && !file_on_tmpfs) {
    return fail("the memory that holds the snapshot is not sealed: its sender could change it");
  }
  return {};
}

Result<NetSpec> spec_in(const std::map<std::string, std::string>& metadata) {
  const auto format = metadata.find("format");
  const auto spec = metadata.find("net");
  if (format == metadata.end() || format->second != kFormat || spec == metadata.end()) {
    return fail(
        "safetensors, but no weights of this program: the metadata lack «format = {}» and "
        "the name of the network",
        kFormat);
  }
  return parse_net_spec(spec->second);
}

Result<std::uint64_t> step_in(const std::map<std::string, std::string>& metadata) {
  const auto found = metadata.find("step");
  std::uint64_t step = 0;
  if (found != metadata.end()) {
    const char* const end = found->second.data() + found->second.size();
    const auto [rest, error] = std::from_chars(found->second.data(), end, step);
    if (error == std::errc() && rest == end) {
      return step;
    }
  }
  return fail("the metadata of the snapshot name no step");
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace

Snapshot::Snapshot(Snapshot&& other) noexcept
    : fd_(std::move(other.fd_)),
      bytes_(std::exchange(other.bytes_, {})),
      contents_(std::move(other.contents_)),
      spec_(other.spec_),
      step_(other.step_) {}

Snapshot& Snapshot::operator=(Snapshot&& other) noexcept {
  if (this != &other) {
    unmap();
    fd_ = std::move(other.fd_);
    bytes_ = std::exchange(other.bytes_, {});
    contents_ = std::move(other.contents_);
    spec_ = other.spec_;
    step_ = other.step_;
  }
  return *this;
}

Snapshot::~Snapshot() { unmap(); }

void Snapshot::unmap() noexcept {
  if (!bytes_.empty()) {
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
    bytes_ = {};
  }
}

Result<Snapshot> Snapshot::seal(std::span<const std::byte> safetensors) {
  KEISEI_TRY(fd, seal_pieces(std::array{safetensors}));
  return from_fd(std::move(fd));
}

Result<Snapshot> Snapshot::from_file(const std::filesystem::path& path) {
  const std::string doing = fmt::format("reading weights from {}", path.string());
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    return fail_errno(doing);
  }
  Result<Snapshot> snapshot = from_fd(std::move(fd));
  if (!snapshot) {
    return with_context(std::move(snapshot).error(), doing);
  }
  return snapshot;
}

Result<Snapshot> Snapshot::from_fd(UniqueFd fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) {
    return fail_errno("looking at the snapshot's descriptor");
  }
  KEISEI_TRY_VOID(check_immutable(fd.get(), status));
  if (status.st_size == 0) {
    return fail("truncated: the file is empty");
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) {
    return fail_errno("mapping the snapshot");
  }
  Snapshot snapshot;
  snapshot.fd_ = std::move(fd);
  snapshot.bytes_ = {static_cast<const std::byte*>(memory), size};
  KEISEI_TRY(contents, parse_safetensors(snapshot.bytes_));
  KEISEI_TRY(spec, spec_in(contents.metadata));
  KEISEI_TRY(step, step_in(contents.metadata));
  snapshot.contents_ = std::move(contents);
  snapshot.spec_ = spec;
  snapshot.step_ = step;
  return snapshot;
}

std::string Snapshot::content_hash() const {
  const XXH128_hash_t hash = XXH3_128bits(bytes_.data(), bytes_.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

Result<WeightsView> Snapshot::weights() const {
  WeightsView view{.spec = spec_, .step = step_, .tensors = {}};
  for (const TensorInfo& info : tensor_table(spec_)) {
    const TensorView* const tensor = contents_.find(info.name);
    if (tensor == nullptr) {
      return fail("the weights call themselves {} but lack the tensor {}", to_string(spec_),
                  info.name);
    }
    if (tensor->dtype != DType::F32 || tensor->shape != info.shape) {
      return fail("the weights call themselves {}, but the tensor {} is {} {} instead of F32 {}",
                  to_string(spec_), info.name, to_string(tensor->dtype), shape_text(tensor->shape),
                  shape_text(info.shape));
    }
    const std::span values(reinterpret_cast<const float*>(tensor->bytes.data()),
                           static_cast<std::size_t>(info.elements));
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
      return fail(
          "the tensor {} of the weights holds values that are not finite: take an older "
          "checkpoint",
          info.name);
    }
    view.tensors.push_back(values);
  }
  return view;
}

Result<WeightsView> Snapshot::weights_for(const NetSpec& expected) const {
  if (spec_ != expected) {
    return usage_error("the weights are of a {} network and cannot be loaded into {}",
                       to_string(spec_), to_string(expected));
  }
  return weights();
}

std::map<std::string, std::string> snapshot_metadata(const NetSpec& spec, std::uint64_t step) {
  return {{"format", kFormat}, {"net", to_string(spec)}, {"step", std::to_string(step)}};
}

std::vector<TensorView> weight_tensors(const NetSpec& spec, std::span<const float> flat) {
  std::vector<TensorView> tensors;
  std::size_t offset = 0;
  for (TensorInfo& info : tensor_table(spec)) {
    const auto elements = static_cast<std::size_t>(info.elements);
    KEISEI_CHECK(offset + elements <= flat.size(), "{} weights are too few for {}", flat.size(),
                 to_string(spec));
    tensors.push_back({.name = std::move(info.name),
                       .dtype = DType::F32,
                       .shape = std::move(info.shape),
                       .bytes = std::as_bytes(flat.subspan(offset, elements))});
    offset += elements;
  }
  KEISEI_CHECK(offset == flat.size(), "{} weights are too many for {}", flat.size(),
               to_string(spec));
  return tensors;
}

Result<UniqueFd> seal_weights(const NetSpec& spec, std::uint64_t step,
                              std::span<const float> flat) {
  const std::string header =
      safetensors_header(weight_tensors(spec, flat), snapshot_metadata(spec, step));
  return seal_pieces(std::array{std::as_bytes(std::span(header)), std::as_bytes(flat)});
}

}  // namespace keisei::net
