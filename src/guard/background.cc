#include "guard/background.h"

namespace keisei::guard {

Background::Background() = default;
Background::~Background() = default;

bool Background::begun() {
  if (!pool_) {
    try {
      pool_ = std::make_unique<boost::asio::thread_pool>(1);
    } catch (const boost::system::system_error&) {  // the limit on processes
    }
  }
  return pool_ != nullptr;
}

}  // namespace keisei::guard
