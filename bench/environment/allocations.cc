#include "allocations.h"

#include <cstdlib>
#include <new>

namespace {

// operator new has no other place to count in.
thread_local std::int64_t count = 0;  // NOLINT(*-avoid-non-const-global-variables)

}  // namespace

std::int64_t allocations() { return count; }

void* operator new(std::size_t size) {
  ++count;
  void* const place = std::malloc(size);
  return place != nullptr ? place : throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  ++count;
  const auto step = static_cast<std::size_t>(alignment);
  void* const place = std::aligned_alloc(step, (size + step - 1) / step * step);
  return place != nullptr ? place : throw std::bad_alloc();
}
void operator delete(void* place) noexcept { std::free(place); }
void operator delete(void* place, std::size_t) noexcept { std::free(place); }
void operator delete(void* place, std::align_val_t) noexcept { std::free(place); }
void operator delete(void* place, std::size_t, std::align_val_t) noexcept { std::free(place); }
