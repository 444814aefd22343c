#pragma once

#include <string>
#include <string_view>

namespace keisei::app {

enum class Colour { Green, Yellow, Red };

/// Colours words on a terminal, unless NO_COLOR is set; elsewhere they stay as they are.
class Painter {
 public:
  [[nodiscard]] static Painter for_stdout();
  [[nodiscard]] static Painter plain() { return Painter(Mode::Plain); }

  [[nodiscard]] std::string paint(Colour colour, std::string_view text) const;

 private:
  enum class Mode { Plain, Coloured };
  explicit Painter(Mode mode) : mode_(mode) {}

  Mode mode_;
};

}  // namespace keisei::app
