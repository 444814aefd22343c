#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "eval/request.h"
#include "net/evaluator.h"
#include "net/snapshot.h"

namespace keisei::eval {

/// Makes the network that plays a snapshot with so many threads.
using EvaluatorFactory = std::function<Result<std::unique_ptr<net::Evaluator>>(
    const net::Snapshot& snapshot, int threads)>;

/// Whether the guard has warned this worker: it then ends with the games that it has finished.
using Warned = std::function<bool()>;

/// The worker's whole life: plays the request's games and writes each to `report_fd` as it ends.
///   request, snapshots (inherited descriptors) -> lockstep matches -> report lines
/// Fails where a snapshot cannot be read, a network cannot judge or the report cannot be written;
/// the games that ended are in the report all the same. Blocks until done. `warned` is asked before
/// each round of plies.
[[nodiscard]] Result<void> run_worker(const EvaluationRequest& request, int report_fd,
                                      const EvaluatorFactory& make_evaluator, const Warned& warned);

}  // namespace keisei::eval
