#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "eval/request.h"
#include "match/lockstep.h"

// What a worker writes, one JSON object a line, so that what it finished survives its end:
//
//   {"keisei_report":1,"id":"...","weights":"<hash>"}
//   {"opponent":0,"game":3,"score":1,"ending":"checkmate","moves":"7g7f 3c3d ..."}   one per game
//   {"games":20}                                              the end: all were played
//   {"games":7,"partial":true}                                or: stopped after these, being warned
namespace keisei::eval {

/// One game of a report, its moves proven to replay.
struct ReportedGame {
  int opponent = 0;  // index into the request's opponents
  match::GameResult result;
};

struct WorkerReport {
  std::string weights_hash;  // of the snapshot that the worker evaluated; empty if it did not say
  std::vector<ReportedGame> games;  // in the order in which they ended
  bool complete = false;            // the last line was there, and every game
  bool ended_early = false;         // the last line was there, and says that games are missing
};

[[nodiscard]] std::string header_line(const EvaluationRequest& request,
                                      std::string_view weights_hash);
[[nodiscard]] std::string game_line(int opponent, const match::GameResult& result);
[[nodiscard]] std::string final_line(int games);
[[nodiscard]] std::string early_final_line(int games);

/// The size of the longest report that can answer `request`.
[[nodiscard]] Bytes longest_report(const EvaluationRequest& request);

/// Reads the report of a worker that is not trusted: each game must have been asked for, come once,
/// and replay move by move to the ending and the score that it claims. A last line without its
/// newline is what a killed worker leaves: it is dropped, and the report is not complete. Fails on
/// anything else, naming the line. Blocks for about 1 us per ply.
[[nodiscard]] Result<WorkerReport> parse_report(std::string_view text,
                                                const EvaluationRequest& request);

}  // namespace keisei::eval
