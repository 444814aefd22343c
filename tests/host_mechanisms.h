#pragma once

#include <string>
#include <string_view>

namespace keisei::testing_support {

/// Whether this kernel has `mechanism` for this account, asked without the code that is tested:
/// seccomp, landlock, or namespaces (of mounts, and all that come with those).
[[nodiscard]] bool host_has(std::string_view mechanism);
[[nodiscard]] bool is_mechanism(std::string_view name);
/// Why what needs `mechanism` is skipped.
[[nodiscard]] std::string not_enforced_here(std::string_view mechanism);

/// Whether the processors are QEMU's emulation: how long anything takes there, and how far
/// something grows meanwhile, tells nothing.
[[nodiscard]] bool emulated();

}  // namespace keisei::testing_support
