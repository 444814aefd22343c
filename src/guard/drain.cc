#include "guard/drain.h"

#include <unistd.h>

#include <array>
#include <cerrno>

namespace keisei::guard {
namespace {

constexpr std::size_t kChunk = 65536;
constexpr int kChunksAtOnce = 16;

}  // namespace

void Drain::read_available() {
  std::array<char, kChunk> buffer;
  for (int i = 0; i < kChunksAtOnce && fd_; ++i) {
    const ssize_t got = read(fd_.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (got <= 0) {
      fd_.reset();
      return;
    }
    add({buffer.data(), static_cast<std::size_t>(got)});
  }
}

void Drain::read_rest() {
  std::size_t before = 0;
  do {
    before = text_.size();
    read_available();
  } while (fd_ && text_.size() != before);
  fd_.reset();
}

void Drain::add(std::string_view bytes) {
  if (keep_ == Keep::Tail) {
    text_.append(bytes);
    if (text_.size() > limit_) {
      text_.erase(0, text_.size() - limit_);
      overflowed_ = true;
    }
    return;
  }
  const std::size_t room = limit_ - text_.size();
  overflowed_ |= bytes.size() > room;
  text_.append(bytes.substr(0, room));
}

}  // namespace keisei::guard
