#include "train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"

namespace keisei::train {
namespace {

using net::DType;
using net::TensorView;

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kSuffix = ".safetensors";

template <typename T>
constexpr DType kDTypeOf = DType::F32;
template <>
constexpr DType kDTypeOf<std::uint16_t> = DType::U16;
template <>
constexpr DType kDTypeOf<std::uint64_t> = DType::U64;
template <>
constexpr DType kDTypeOf<std::uint32_t> = DType::U32;

template <typename T>
TensorView vector_tensor(const std::string& name, std::span<const T> values) {
  return {.name = name,
          .dtype = kDTypeOf<T>,
          .shape = {static_cast<std::int64_t>(values.size())},
          .bytes = std::as_bytes(values)};
}

template <typename T>
Result<std::span<const T>> read_vector(const net::SafetensorsView& file, std::string_view name) {
  const TensorView* const tensor = file.find(name);
  if (tensor == nullptr || tensor->dtype != kDTypeOf<T> || tensor->shape.size() != 1) {
    return fail("the file holds weights, but no training state to resume from: it lacks {}", name);
  }
  return std::span<const T>(reinterpret_cast<const T*>(tensor->bytes.data()),
                            tensor->bytes.size() / sizeof(T));
}

/// The game slots as flat arrays.
struct GameTensors {
  std::vector<std::uint16_t> moves;  // of all slots, one after the other
  std::vector<std::uint32_t> plies;  // per slot
  std::vector<std::uint64_t> draws;  // per slot
  std::vector<std::string> starts;   // per slot
};

GameTensors tensors_of(const std::vector<GameState>& games) {
  GameTensors result;
  for (const GameState& game : games) {
    for (const shogi::Move move : game.moves) {
      result.moves.push_back(move.bits);
    }
    result.plies.push_back(static_cast<std::uint32_t>(game.moves.size()));
    result.draws.push_back(game.draws);
    result.starts.push_back(game.start_sfen);
  }
  return result;
}

Result<std::string> metadata_of(const net::SafetensorsView& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    return fail("the file holds weights, but no training state to resume from: it lacks {}", key);
  }
  return found->second;
}

Result<std::int64_t> number_of(const net::SafetensorsView& file, const std::string& key) {
  KEISEI_TRY(text, metadata_of(file, key));
  std::int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size() || value < 0) {
    return fail("the checkpoint's {} is no number", key);
  }
  return value;
}

Result<std::vector<std::string>> starts_of(const net::SafetensorsView& file) {
  KEISEI_TRY(text, metadata_of(file, "games.starts"));
  const nlohmann::json starts = nlohmann::json::parse(text, nullptr, false);
  std::vector<std::string> result;
  if (!starts.is_array()) {
    return fail("the checkpoint's games.starts is no list");
  }
  for (const nlohmann::json& start : starts) {
    if (!start.is_string()) {
      return fail("the checkpoint's games.starts is no list of positions");
    }
    result.push_back(start.get<std::string>());
  }
  return result;
}

Result<std::vector<GameState>> read_games(const net::SafetensorsView& file) {
  KEISEI_TRY(moves, read_vector<std::uint16_t>(file, "games.moves"));
  KEISEI_TRY(plies, read_vector<std::uint32_t>(file, "games.plies"));
  KEISEI_TRY(draws, read_vector<std::uint64_t>(file, "games.draws"));
  KEISEI_TRY(starts, starts_of(file));
  if (plies.size() != draws.size() || plies.size() != starts.size()) {
    return fail("the checkpoint's games do not agree in number");
  }
  std::vector<GameState> games;
  for (std::size_t i = 0; i < plies.size(); ++i) {
    if (plies[i] > moves.size()) {
      return fail("the checkpoint's games lack moves");
    }
    GameState game{.start_sfen = starts[i], .moves = {}, .draws = draws[i]};
    for (const std::uint16_t bits : moves.first(plies[i])) {
      game.moves.push_back(shogi::Move{bits});
    }
    moves = moves.subspan(plies[i]);
    games.push_back(std::move(game));
  }
  return games;
}

bool all_finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

Result<void> restore_learner(const net::Snapshot& checkpoint, net::Learner& learner) {
  KEISEI_TRY(weights, checkpoint.weights_for(learner.spec()));
  const net::SafetensorsView& file = checkpoint.contents();
  KEISEI_TRY(first, read_vector<float>(file, "adam.first_moment"));
  KEISEI_TRY(second, read_vector<float>(file, "adam.second_moment"));
  KEISEI_TRY(steps, number_of(file, "adam.steps"));
  std::vector<float> flat;
  for (const std::span<const float> tensor : weights.tensors) {
    flat.insert(flat.end(), tensor.begin(), tensor.end());
  }
  if (first.size() != flat.size() || second.size() != flat.size()) {
    return fail("the checkpoint's optimiser is not that of a {} network",
                to_string(learner.spec()));
  }
  if (!all_finite(first) || !all_finite(second)) {
    return fail("the checkpoint's optimiser holds values that are not finite");
  }
  return learner.restore(flat, {.first_moment = first, .second_moment = second, .steps = steps});
}

/// The step that a checkpoint's name tells; nothing for any other name.
std::optional<std::int64_t> step_in(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  const char* const begin = name.data() + kPrefix.size();
  const char* const end = name.data() + name.size() - kSuffix.size();
  std::int64_t step = 0;
  const auto [rest, error] = std::from_chars(begin, end, step);
  if (error != std::errc() || rest != end || step < 0) {
    return std::nullopt;
  }
  return step;
}

/// Restores and gives the hash of the configuration.
Result<std::string> resume_from(const std::filesystem::path& path, net::Learner& learner,
                                Trainer& trainer) {
  KEISEI_TRY(checkpoint, net::Snapshot::from_file(path));
  const auto in_path = [&path](Error error) {
    return with_context(std::move(error), fmt::format("resuming from {}", path.string()));
  };
  if (auto restored = restore_checkpoint(checkpoint, learner, trainer); !restored) {
    return in_path(std::move(restored).error());
  }
  auto hash = metadata_of(checkpoint.contents(), "training.config_hash");
  return hash ? std::move(hash) : in_path(std::move(hash).error());
}

}  // namespace

Result<std::vector<std::byte>> encode_checkpoint(const net::Learner& learner,
                                                 const Trainer& trainer,
                                                 const std::string& config_hash) {
  const Counters& counters = trainer.counters();
  KEISEI_TRY(optimiser, learner.optimiser());
  const GameTensors games = tensors_of(trainer.game_states());
  std::map<std::string, std::string> metadata =
      net::snapshot_metadata(learner.spec(), static_cast<std::uint64_t>(counters.step));
  metadata["training.update"] = std::to_string(counters.update);
  metadata["training.games"] = std::to_string(counters.games);
  metadata["training.config_hash"] = config_hash;
  metadata["adam.steps"] = std::to_string(optimiser.steps);
  metadata["games.starts"] = nlohmann::json(games.starts).dump();
  // Widest elements first: each tensor must be aligned to its own.
  std::vector<TensorView> tensors = {
      vector_tensor("games.draws", std::span<const std::uint64_t>(games.draws))};
  for (TensorView& tensor : net::weight_tensors(learner.spec(), learner.weights())) {
    tensors.push_back(std::move(tensor));
  }
  tensors.push_back(vector_tensor("adam.first_moment", optimiser.first_moment));
  tensors.push_back(vector_tensor("adam.second_moment", optimiser.second_moment));
  tensors.push_back(vector_tensor("games.plies", std::span<const std::uint32_t>(games.plies)));
  tensors.push_back(vector_tensor("games.moves", std::span<const std::uint16_t>(games.moves)));
  return net::serialise_safetensors(tensors, metadata);
}

Result<void> restore_checkpoint(const net::Snapshot& checkpoint, net::Learner& learner,
                                Trainer& trainer) {
  KEISEI_TRY_VOID(restore_learner(checkpoint, learner));
  KEISEI_TRY(update, number_of(checkpoint.contents(), "training.update"));
  KEISEI_TRY(ended, number_of(checkpoint.contents(), "training.games"));
  KEISEI_TRY(games, read_games(checkpoint.contents()));
  if (const std::size_t slots = trainer.game_states().size(); games.size() != slots) {
    return usage_error(
        "the checkpoint holds {} games, but training.environments is {}: set it to {}, or begin a "
        "new run",
        games.size(), slots, games.size());
  }
  return trainer.restore(
      {.step = static_cast<std::int64_t>(checkpoint.step()), .update = update, .games = ended},
      games);
}

CheckpointDirectory::CheckpointDirectory(std::filesystem::path directory, std::int64_t keep)
    : directory_(std::move(directory)), keep_(keep) {}

std::filesystem::path CheckpointDirectory::path_of(std::int64_t step) const {
  return directory_ / fmt::format("{}{:012}{}", kPrefix, step, kSuffix);
}

Result<std::filesystem::path> CheckpointDirectory::save(std::int64_t step,
                                                        std::span<const std::byte> bytes) const {
  const std::filesystem::path path = path_of(step);
  std::error_code ignored;  // a directory that cannot be made shows when the file is written
  std::filesystem::create_directories(directory_, ignored);
  if (auto written = write_file_atomically(path, bytes); !written) {
    return with_context(std::move(written).error(),
                        fmt::format("saving the checkpoint of step {}", step));
  }
  std::int64_t kept = 0;
  for (const std::filesystem::path& older : newest_first()) {
    const std::int64_t its_step = *step_in(older);
    if (its_step <= step && ++kept > keep_ && its_step != step) {
      std::filesystem::remove(older, ignored);
    }
  }
  return path;
}

std::vector<std::filesystem::path> CheckpointDirectory::newest_first() const {
  std::vector<std::filesystem::path> paths;
  std::error_code none;  // no directory, no checkpoints
  for (const auto& entry : std::filesystem::directory_iterator(directory_, none)) {
    if (step_in(entry.path())) {
      paths.push_back(entry.path());
    }
  }
  std::ranges::sort(paths, std::greater<>(), [](const auto& path) { return *step_in(path); });
  return paths;
}

Result<std::optional<Resumed>> resume_newest(const CheckpointDirectory& directory,
                                             net::Learner& learner, Trainer& trainer,
                                             std::vector<std::string>& set_aside) {
  const std::vector<std::filesystem::path> paths = directory.newest_first();
  for (const std::filesystem::path& path : paths) {
    Result<std::string> hash = resume_from(path, learner, trainer);
    if (hash) {
      return Resumed{.path = path, .config_hash = std::move(hash).value()};
    }
    if (hash.error().kind == ErrorKind::Usage) {
      return tl::unexpected<Error>(std::move(hash).error());
    }
    std::error_code ignored;  // then it stays, and comes up again
    std::filesystem::rename(path, path.string() + ".unreadable", ignored);
    set_aside.push_back(hash.error().message);
  }
  if (!paths.empty()) {
    return fail(
        "none of the {} checkpoints can be resumed from; they are set aside as "
        "*.unreadable, and the last error was: {}",
        paths.size(), set_aside.back());
  }
  return std::nullopt;
}

}  // namespace keisei::train
