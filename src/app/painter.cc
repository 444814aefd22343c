#include "app/painter.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace keisei::app {
namespace {

int ansi_code(Colour colour) {
  switch (colour) {
    case Colour::Green:
      return 32;
    case Colour::Yellow:
      return 33;
    case Colour::Red:
      return 31;
  }
  return 0;
}

}  // namespace

Painter Painter::for_stdout() {
  const char* refused = std::getenv("NO_COLOR");
  const bool coloured = isatty(STDOUT_FILENO) == 1 && (refused == nullptr || *refused == '\0');
  return Painter(coloured ? Mode::Coloured : Mode::Plain);
}

std::string Painter::paint(Colour colour, std::string_view text) const {
  switch (mode_) {
    case Mode::Plain:
      return std::string(text);
    case Mode::Coloured:
      return fmt::format("\033[{}m{}\033[0m", ansi_code(colour), text);
  }
  return std::string(text);
}

}  // namespace keisei::app
