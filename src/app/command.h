#pragma once

#include <functional>

#include "base/result.h"

namespace CLI {
class App;
}

namespace keisei::app {

/// The exit codes of the command line contract (docs/cli.md). A failed action exits with kFailed
/// or, for an Error of kind Usage, with kUsage.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kAnswerIsNo = 3;  // the command ran, and the answer is «no»

/// What the chosen subcommand does once the command line is read; the value is the exit code.
using CommandAction = std::function<Result<int>()>;

/// Each `<name>_command.h` declares one of these. It adds the subcommand to `root` with its options
/// and an example in its footer; when the subcommand is chosen, it sets `chosen`. `chosen` outlives
/// parsing, so what the options write to is owned by the closure (a shared_ptr).
using AddCommand = void (*)(CLI::App& root, CommandAction& chosen);

}  // namespace keisei::app
