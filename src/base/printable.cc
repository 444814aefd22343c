#include "base/printable.h"

#include <algorithm>

namespace keisei {

std::string printable(std::string_view text, std::size_t limit) {
  std::string result(text.substr(0, limit));
  std::ranges::replace_if(
      result, [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }, '?');
  if (text.size() > limit) {
    result += "...";
  }
  return result;
}

}  // namespace keisei
