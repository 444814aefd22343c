#include "match/player.h"

#include <filesystem>

namespace keisei::match {

Result<PlayerSpec> parse_player_spec(std::string_view text) {
  if (text == "random") {
    return PlayerSpec{PlayerKind::Random, {}};
  }
  if (text == "heuristic") {
    return PlayerSpec{PlayerKind::Heuristic, {}};
  }
  if (text.ends_with(".safetensors") || text.find('/') != std::string_view::npos) {
    return PlayerSpec{PlayerKind::Checkpoint, std::string(text)};
  }
  return usage_error(
      "'{}' is no opponent: write random, heuristic or the path of a .safetensors checkpoint",
      text);
}

std::string display_name(const PlayerSpec& spec) {
  switch (spec.kind) {
    case PlayerKind::Random:
      return "random";
    case PlayerKind::Heuristic:
      return "heuristic";
    case PlayerKind::Checkpoint:
      return std::filesystem::path(spec.path).filename().string();
  }
  return {};
}

}  // namespace keisei::match
