#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "base/file.h"
#include "eval/worker.h"
#include "net/onednn/onednn_evaluator.h"
#include "os/handshake.h"
#include "os/warning.h"

// keisei-worker: plays the games of one evaluation inside keisei-jail. It has no options: what it
// needs it inherits (eval/request.h), and without the jail's handshake it refuses to run.
namespace keisei::app {
namespace {

Result<std::unique_ptr<net::Evaluator>> make_evaluator(const net::Snapshot& snapshot, int threads) {
  KEISEI_TRY(weights, snapshot.weights());
  return net::OneDnnEvaluator::create(weights, threads);
}

Result<void> run() {
  if (auto handshake = os::inherited_handshake(); !handshake) {
    return with_context(std::move(handshake).error(),
                        "keisei-worker runs under keisei's safeguards only (start it with `keisei "
                        "evaluate` or `keisei train`)");
  }
  KEISEI_TRY(text, read_file(fmt::format("/proc/self/fd/{}", eval::kRequestFd), megabytes(1)));
  KEISEI_TRY(request, eval::parse_request(text));
  return eval::run_worker(request, eval::kReportFd, make_evaluator,
                          [] { return os::inherited_warning().has_value(); });
}

}  // namespace
}  // namespace keisei::app

int main() {
  try {
    if (const auto done = keisei::app::run(); !done) {
      fmt::print(stderr, "keisei-worker: {}\n", done.error().message);
      return 1;
    }
    return 0;
  } catch (const std::exception& error) {  // from a library; ours are Results
    std::fprintf(stderr, "keisei-worker: unexpected error: %s\n", error.what());
    return 1;
  }
}
