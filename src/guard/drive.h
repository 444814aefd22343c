#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "guard/guarded_task.h"

namespace keisei::guard {

/// Drives the task to its end on that loop; one that cannot be waited for is given up.
[[nodiscard]] boost::asio::awaitable<void> drive(boost::asio::any_io_executor executor,
                                                 GuardedTask& task);

}  // namespace keisei::guard
