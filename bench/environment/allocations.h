#pragma once

#include <cstdint>

/// How often this thread has called operator new, which this program replaces.
[[nodiscard]] std::int64_t allocations();
