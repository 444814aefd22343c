#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace keisei {

tl::unexpected<Error> fail_errno(std::string_view doing) {
  const int code = errno;
  return fail("{}: {}", doing, std::generic_category().message(code));
}

tl::unexpected<Error> with_context(Error error, std::string_view doing) {
  error.message = fmt::format("{}: {}", doing, error.message);
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace keisei
