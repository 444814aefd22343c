#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <boost/asio/error.hpp>
#include <cstdio>
#include <exception>

#include "app/bench_command.h"
#include "app/command.h"
#include "app/config_command.h"
#include "app/convert_command.h"
#include "app/doctor_command.h"
#include "app/evaluate_command.h"
#include "app/guard_command.h"
#include "app/moves_command.h"
#include "app/perft_command.h"
#include "app/playouts_command.h"
#include "app/report_command.h"
#include "app/train_command.h"
#include "app/verify_command.h"
#include "os/program.h"

namespace keisei::app {
namespace {

/// Asio opens the descriptors of an event loop when they are first needed, and throws where none is
/// left.
Result<int> answer_of(const CommandAction& chosen) {
  try {
    return chosen();
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::system::errc::too_many_files_open ||
        error.code() == boost::system::errc::too_many_files_open_in_system) {
      return fail("no descriptor is left ({}); raise the open files limit (ulimit -n)",
                  error.what());
    }
    throw;
  }
}

int run(int argc, char** argv) {
  // A file that may not grow any more (ulimit -f) is an error of that write, and nobody's end.
  (void)signal(SIGXFSZ, SIG_IGN);
  CLI::App root{"Keisei trains a shogi player by self-play and evaluates it under safeguards.",
                "keisei"};
  root.set_version_flag("--version", KEISEI_VERSION);
  root.require_subcommand(1);
  CommandAction chosen;
  add_train_command(root, chosen);
  add_evaluate_command(root, chosen);
  add_guard_command(root, chosen);
  add_doctor_command(root, chosen);
  add_verify_command(root, chosen);
  add_report_command(root, chosen);
  add_config_command(root, chosen);
  add_perft_command(root, chosen);
  add_moves_command(root, chosen);
  add_playouts_command(root, chosen);
  add_convert_command(root, chosen);
  add_bench_command(root, chosen);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int misuse = root.got_subcommand("guard") ? kGuardFailed : kUsage;
    return root.exit(error) == 0 ? kDone : misuse;
  }
  const Result<int> code = answer_of(chosen);
  if (!code) {
    fmt::print(stderr, "keisei: {}\n", code.error().message);
    if (root.got_subcommand("guard")) {
      return kGuardFailed;
    }
    return code.error().kind == ErrorKind::Usage ? kUsage : kFailed;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fputs("keisei: the result could not be written to stdout\n", stderr);
    return kFailed;
  }
  return *code;
}

}  // namespace
}  // namespace keisei::app

int main(int argc, char** argv) {
  keisei::os::open_missing_standard_descriptors();
  try {
    return keisei::app::run(argc, argv);
  } catch (const std::exception& error) {  // from a library; ours are Results
    std::fprintf(stderr, "keisei: unexpected error: %s\n", error.what());
    return keisei::app::kFailed;
  }
}
