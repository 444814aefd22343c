#include "app/doctor_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/painter.h"
#include "guard/doctor.h"
#include "guard/doctor_host.h"

namespace keisei::app {
namespace {

using Json = nlohmann::ordered_json;

struct DoctorArguments {
  bool json = false;
};

Colour colour_of(guard::Standing standing) {
  switch (standing) {
    case guard::Standing::Enforced:
      return Colour::Green;
    case guard::Standing::MeasuredOnly:
      return Colour::Yellow;
    case guard::Standing::Absent:
      return Colour::Red;
  }
  return Colour::Red;
}

void print_text(const std::vector<guard::Mechanism>& mechanisms) {
  std::size_t width = 0;
  for (const guard::Mechanism& mechanism : mechanisms) {
    width = std::max(width, mechanism.name.size());
  }
  const Painter painter = Painter::for_stdout();
  fmt::print("{}\n", guard::describe_host());
  for (const guard::Mechanism& mechanism : mechanisms) {
    const std::string standing = fmt::format("{:<13}", guard::to_string(mechanism.standing));
    fmt::print("{}  {:<{}}  {}\n", painter.paint(colour_of(mechanism.standing), standing),
               mechanism.name, width, mechanism.why);
    if (!mechanism.remedy.empty()) {
      fmt::print("{:<13}  {:<{}}  -> {}\n", "", "", width, mechanism.remedy);
    }
  }
  fmt::print("\nWhat a jail can do was tried in one. keisei verify attacks it.\n");
}

void print_json(const std::vector<guard::Mechanism>& mechanisms) {
  Json rows = Json::array();
  for (const guard::Mechanism& mechanism : mechanisms) {
    const Json remedy = mechanism.remedy.empty() ? Json(nullptr) : Json(mechanism.remedy);
    rows.push_back({{"mechanism", mechanism.name},
                    {"standing", guard::to_string(mechanism.standing)},
                    {"why", mechanism.why},
                    {"remedy", remedy}});
  }
  const Json json = {{"host", guard::describe_host()}, {"mechanisms", rows}};
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

Result<int> examine(const DoctorArguments& arguments) {
  KEISEI_TRY(facts, guard::examine_host());
  const std::vector<guard::Mechanism> mechanisms = guard::diagnose(facts);
  if (arguments.json) {
    print_json(mechanisms);
  } else {
    print_text(mechanisms);
  }
  return kDone;
}

}  // namespace

void add_doctor_command(CLI::App& root, CommandAction& chosen) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* command = root.add_subcommand(
      "doctor", "What this host can enforce, what it only measures, what is absent, and why");
  command->add_flag("--json", arguments->json, "the same as one JSON document");
  command->footer(
      "Each mechanism is tried in a jail; below «->» stands the one change that would improve it.\n"
      "Example: keisei doctor");
  command->callback([arguments, &chosen] { chosen = [arguments] { return examine(*arguments); }; });
}

}  // namespace keisei::app
