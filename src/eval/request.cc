#include "eval/request.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace keisei::eval {
namespace {

using nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::array<std::pair<match::PlayerKind, const char*>, 3> kKindNames{
    {{match::PlayerKind::Random, "random"},
     {match::PlayerKind::Heuristic, "heuristic"},
     {match::PlayerKind::Checkpoint, "checkpoint"}}};

const char* to_string(match::PlayerKind kind) {
  for (const auto& [value, name] : kKindNames) {
    if (value == kind) {
      return name;
    }
  }
  return "";
}

Result<match::PlayerKind> parse_kind(const std::string& text) {
  for (const auto& [value, name] : kKindNames) {
    if (name == text) {
      return value;
    }
  }
  return fail("unknown player kind '{}'", text);
}

Result<void> check_range(const char* name, std::int64_t value, std::int64_t low,
                         std::int64_t high) {
  if (value < low || value > high) {
    return fail("{} is {}, not in {}..{}", name, value, low, high);
  }
  return {};
}

Result<void> validate(const EvaluationRequest& request) {
  KEISEI_TRY_VOID(check_range("games", request.games, 1, 100'000));
  KEISEI_TRY_VOID(check_range("max_plies", request.max_plies, 1, 32'767));
  KEISEI_TRY_VOID(check_range("opening_plies", request.opening_plies, 0, request.max_plies - 1));
  KEISEI_TRY_VOID(check_range("threads", request.threads, 1, 64));
  if (request.opponents.empty()) {
    return fail("no opponents");
  }
  return {};
}

}  // namespace

std::string to_json(const EvaluationRequest& request) {
  ordered_json opponents = ordered_json::array();
  for (const OpponentRequest& opponent : request.opponents) {
    opponents.push_back({{"name", opponent.name},
                         {"kind", to_string(opponent.kind)},
                         {"snapshot_fd", opponent.snapshot_fd}});
  }
  const ordered_json json{{"version", kVersion},
                          {"id", request.id},
                          {"step", request.step},
                          {"candidate_fd", request.candidate_fd},
                          {"opponents", opponents},
                          {"games", request.games},
                          {"opening_plies", request.opening_plies},
                          {"max_plies", request.max_plies},
                          {"threads", request.threads},
                          {"seed", request.seed}};
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<EvaluationRequest> parse_request(std::string_view text) {
  try {
    const auto json = ordered_json::parse(text);
    if (json.at("version").get<int>() != kVersion) {
      return fail("evaluation request: its version is {}, this worker reads {}",
                  json.at("version").dump(), kVersion);
    }
    EvaluationRequest request{.id = json.at("id"),
                              .step = json.at("step"),
                              .candidate_fd = json.at("candidate_fd"),
                              .opponents = {},
                              .games = json.at("games"),
                              .opening_plies = json.at("opening_plies"),
                              .max_plies = json.at("max_plies"),
                              .threads = json.at("threads"),
                              .seed = json.at("seed")};
    for (const auto& opponent : json.at("opponents")) {
      KEISEI_TRY(kind, parse_kind(opponent.at("kind")));
      request.opponents.push_back({opponent.at("name"), kind, opponent.at("snapshot_fd")});
    }
    if (auto valid = validate(request); !valid) {
      return with_context(std::move(valid).error(), "evaluation request");
    }
    return request;
  } catch (const nlohmann::json::exception& error) {
    return fail("evaluation request: {}", error.what());
  }
}

}  // namespace keisei::eval
