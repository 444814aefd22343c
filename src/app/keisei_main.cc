#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/error.hpp>
#include <cstdio>
#include <exception>
#include <span>
#include <string_view>
#include <vector>

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

struct Command {
  const char* name;
  AddCommand add;
};
constexpr Command kCommands[] = {
    {"train", add_train_command},     {"evaluate", add_evaluate_command},
    {"guard", add_guard_command},     {"doctor", add_doctor_command},
    {"verify", add_verify_command},   {"report", add_report_command},
    {"config", add_config_command},   {"perft", add_perft_command},
    {"moves", add_moves_command},     {"playouts", add_playouts_command},
    {"convert", add_convert_command}, {"bench", add_bench_command}};

/// Only the options of the command that is asked for by name: making all of them takes a tenth of
/// the time in which `keisei` starts. Without one, all are there to be listed.
void add_commands(CLI::App& root, std::span<char*> arguments, CommandAction& chosen) {
  const auto* const asked = std::ranges::find_if(kCommands, [&](const Command& command) {
    return arguments.size() > 1 && std::string_view(arguments[1]) == command.name;
  });
  if (asked != std::end(kCommands)) {
    asked->add(root, chosen);
    return;
  }
  for (const Command& command : kCommands) {
    command.add(root, chosen);
  }
}

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

/// Whose own failures have an exit code of their own.
bool is_guard(const CLI::App& root) {
  const std::vector<CLI::App*> parsed = root.get_subcommands();
  return !parsed.empty() && parsed.front()->get_name() == "guard";
}

int run(int argc, char** argv) {
  // A file that may not grow any more (ulimit -f) is an error of that write, and nobody's end.
  (void)signal(SIGXFSZ, SIG_IGN);
  CLI::App root{"Keisei trains a shogi player by self-play and evaluates it under safeguards.",
                "keisei"};
  root.set_version_flag("--version", KEISEI_VERSION);
  root.require_subcommand(1);
  CommandAction chosen;
  add_commands(root, {argv, static_cast<std::size_t>(argc)}, chosen);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int misuse = is_guard(root) ? kGuardFailed : kUsage;
    return root.exit(error) == 0 ? kDone : misuse;
  }
  const Result<int> code = answer_of(chosen);
  if (!code) {
    fmt::print(stderr, "keisei: {}\n", code.error().message);
    if (is_guard(root)) {
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
