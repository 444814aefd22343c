#include "rating/score.h"

#include <algorithm>
#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <numeric>

#include "base/check.h"

namespace keisei::rating {
namespace {

constexpr double kTail = (1 - kConfidence) / 2;

/// Upper quantile of Student's t that the interval is made with.
double t_quantile(std::int64_t degrees_of_freedom) {
  return boost::math::quantile(boost::math::students_t(static_cast<double>(degrees_of_freedom)),
                               1 - kTail);
}

struct Totals {
  double points = 0;
  std::int64_t games = 0;
  std::int64_t clusters = 0;
};

Totals totals_of(const MatchCounts& match) {
  const auto& [wins, draws, losses] = match.single;
  const std::int64_t single = wins + draws + losses;
  Totals totals{.points = static_cast<double>(wins) + 0.5 * static_cast<double>(draws),
                .games = single,
                .clusters = single};
  for (std::size_t i = 0; i < match.pairs.size(); ++i) {
    totals.points += 0.5 * static_cast<double>(i) * static_cast<double>(match.pairs[i]);
    totals.games += 2 * match.pairs[i];
    totals.clusters += match.pairs[i];
  }
  return totals;
}

/// Variance of the mean score, the clusters independent: the linearised ratio estimator
/// k / (k - 1) * sum (y_i - s m_i)^2 / (sum m_i)^2 over k clusters with y_i points in m_i games.
double clustered_variance(const MatchCounts& match, const Totals& totals, double score) {
  double squares = 0;
  const auto add = [&](double count, double points, double games) {
    squares += count * (points - score * games) * (points - score * games);
  };
  for (std::size_t i = 0; i < match.pairs.size(); ++i) {
    add(static_cast<double>(match.pairs[i]), 0.5 * static_cast<double>(i), 2);
  }
  add(static_cast<double>(match.single.wins), 1, 1);
  add(static_cast<double>(match.single.draws), 0.5, 1);
  add(static_cast<double>(match.single.losses), 0, 1);
  const auto clusters = static_cast<double>(totals.clusters);
  const auto games = static_cast<double>(totals.games);
  return clusters / (clusters - 1) * squares / (games * games);
}

/// Between the number of clusters (the mean of a cluster lies in [0, 1] too) and that of games.
double effective_games(const MatchCounts& match, const Totals& totals, double score) {
  const auto clusters = static_cast<double>(totals.clusters);
  const auto games = static_cast<double>(totals.games);
  if (totals.clusters == totals.games || score == 0 || score == 1) {
    return games;
  }
  if (totals.clusters == 1) {
    return clusters;
  }
  const double variance = clustered_variance(match, totals, score);
  if (variance == 0) {
    return games;
  }
  // The variance of few clusters is itself uncertain.
  const double t_ratio = t_quantile(totals.games - 1) / t_quantile(totals.clusters - 1);
  return std::clamp(score * (1 - score) / variance * t_ratio * t_ratio, clusters, games);
}

double beta_quantile(double a, double b, double probability) {
  return boost::math::quantile(boost::math::beta_distribution<>(a, b), probability);
}

}  // namespace

std::optional<Score> score_of(const MatchCounts& match) {
  const auto negative = [](std::int64_t count) { return count < 0; };
  KEISEI_CHECK(std::ranges::none_of(match.pairs, negative) && match.single.wins >= 0 &&
                   match.single.draws >= 0 && match.single.losses >= 0,
               "a negative number of games");
  const Totals totals = totals_of(match);
  if (totals.games == 0) {
    return std::nullopt;
  }
  const double score = totals.points / static_cast<double>(totals.games);
  const double effective = effective_games(match, totals, score);
  const double won = score * effective;
  const double lost = effective - won;
  return Score{.value = score,
               .low = won > 0 ? std::min(score, beta_quantile(won, lost + 1, kTail)) : 0.0,
               .high = lost > 0 ? std::max(score, beta_quantile(won + 1, lost, 1 - kTail)) : 1.0,
               .games = totals.games,
               .effective_games = effective};
}

std::optional<Score> score_of(const GameCounts& games) {
  return score_of(MatchCounts{.pairs = {}, .single = games});
}

}  // namespace keisei::rating
