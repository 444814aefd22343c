// What is code in fmt, compiled once for all programs. Debian has it as a shared library only, and
// libfmt.so loads libstdc++.so; at the start of `keisei` both cost more than its own main().
#include <fmt/format-inl.h>

// Templates that fmt/format.h declares and leaves to its library.
FMT_BEGIN_NAMESPACE
namespace detail {
template thousands_sep_result<char> thousands_sep_impl<char>(locale_ref);
template char decimal_point_impl<char>(locale_ref);
template dragonbox::decimal_fp<float> dragonbox::to_decimal<float>(float) noexcept;
template dragonbox::decimal_fp<double> dragonbox::to_decimal<double>(double) noexcept;
}  // namespace detail
FMT_END_NAMESPACE
