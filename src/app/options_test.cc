#include "app/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "app/options_toml.h"
#include "base/check.h"

namespace keisei::app {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Result<Options> from_command_line(std::vector<std::string> assignments) {
  return load_options(
      {.file = std::nullopt, .environment = {}, .assignments = std::move(assignments)});
}

bool is_integer(const OptionKey& key) { return type_name(key) == "an integer"; }
bool is_number(const OptionKey& key) { return type_name(key) == "a number" || is_integer(key); }

/// `key = literal` as a document of its own.
std::string document(const OptionKey& key, const std::string& literal) {
  return fmt::format("{} = {}\n", key.name, literal);
}

std::string literal(const OptionKey& key, double number) {
  return is_integer(key) ? toml_literal(static_cast<std::int64_t>(number)) : toml_literal(number);
}

std::string message_of(const Result<Options>& read) {
  return read ? "no error" : read.error().message;
}

/// One run per row of the table, by name.
class EveryKey : public testing::TestWithParam<std::string_view> {
 protected:
  const OptionKey& key_ = *std::ranges::find(option_keys(), GetParam(), &OptionKey::name);
};

std::vector<std::string_view> all_names() {
  std::vector<std::string_view> names;
  std::ranges::transform(option_keys(), std::back_inserter(names), &OptionKey::name);
  return names;
}
std::string test_name(const testing::TestParamInfo<std::string_view>& info) {
  std::string name(info.param);
  std::ranges::replace(name, '.', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Options, EveryKey, testing::ValuesIn(all_names()), test_name);

/// Inside the range.
double number_that_is_not_the_default(const OptionKey& key) {
  const std::string standard = toml_literal(value_of(key, Options{}));
  for (const double candidate : {std::ceil(key.min) + 1, std::ceil(key.min) + 2}) {
    if (candidate <= key.max && literal(key, candidate) != standard) {
      return candidate;
    }
  }
  return (key.min + key.max) / 2;
}

TEST_P(EveryKey, HasHelpAndIsInTheTableOnce) {
  EXPECT_FALSE(key_.help.empty());
  EXPECT_EQ(std::ranges::count(option_keys(), key_.name, &OptionKey::name), 1);
}

TEST_P(EveryKey, HasADefaultThatIsAllowed) {
  const OptionValue value = value_of(key_, Options{});
  if (value.index() == 0) {
    return;  // not set is the default
  }
  EXPECT_TRUE(parse_options(document(key_, toml_literal(value)), "t").has_value());
}

TEST_P(EveryKey, RefusesWhatIsOutOfRangeAndSaysTheRange) {
  std::vector<std::string> outside;
  if (is_number(key_)) {
    const double step = is_integer(key_) ? 1 : 1e-3;
    outside = {literal(key_, key_.min - step), literal(key_, key_.max + key_.max * 1e-3 + step)};
  } else if (!key_.choices.empty()) {
    outside = {"\"nonsense\""};
  }
  for (const std::string& value : outside) {
    const auto read = parse_options(document(key_, value), "t");
    ASSERT_FALSE(read.has_value()) << value;
    EXPECT_EQ(read.error().kind, ErrorKind::Usage);
    EXPECT_THAT(read.error().message,
                AllOf(HasSubstr("t:1:"), HasSubstr(key_.name), HasSubstr(range_text(key_))));
  }
}

TEST_P(EveryKey, RefusesAnotherTypeAndSaysWhichItIs) {
  const bool takes_numbers = is_number(key_);
  const auto read = parse_options(document(key_, takes_numbers ? "\"x\"" : "12"), "t");
  ASSERT_FALSE(read.has_value());
  EXPECT_THAT(read.error().message,
              AllOf(HasSubstr("t:1:"), HasSubstr(fmt::format("must be {}", type_name(key_))),
                    HasSubstr(takes_numbers ? "not text" : "not an integer")));
}

TEST_P(EveryKey, IsSuggestedToWhoMistypesIt) {
  std::string wrong(key_.name);
  wrong.insert(wrong.size() - 1, "q");
  const auto read = parse_options(wrong + " = 1", "t");
  ASSERT_FALSE(read.has_value());
  EXPECT_THAT(read.error().message, AllOf(HasSubstr("unknown key"),
                                          HasSubstr(fmt::format("did you mean «{}»?", key_.name))));
}

TEST_P(EveryKey, SurvivesTheRoundTripThroughToml) {
  std::string value = "\"a \\\"b\\\" \\\\ \\n c\"";
  if (is_number(key_)) {
    value = literal(key_, number_that_is_not_the_default(key_));
  } else if (!key_.choices.empty()) {
    value = fmt::format("\"{}\"", key_.choices.back());
  } else if (type_name(key_) == "true or false") {
    value = "false";
  } else if (type_name(key_) == "a list of texts") {
    value = "[" + value + ", \"usi:x\"]";
  }
  // Alone, some values do not fit the default of another key_.
  const std::string room =
      key_.name == "training.environments" || key_.name == "training.rollout_steps" ||
              key_.name == "training.minibatch"
          ? "training.micro_batch = 1\n" +
                std::string(key_.name == "training.minibatch" ? "" : "training.minibatch = 2\n")
          : "";
  const auto set = parse_options(document(key_, value) + room, "t");
  ASSERT_TRUE(set.has_value()) << set.error().message;
  if (key_.choices.size() != 1) {  // else there is no other value
    EXPECT_NE(value_of(key_, *set), value_of(key_, Options{}));
  }
  const auto back = parse_options(to_toml(*set), "effective");
  ASSERT_TRUE(back.has_value()) << back.error().message;
  for (const OptionKey& each : option_keys()) {
    EXPECT_EQ(value_of(each, *set), value_of(each, *back)) << each.name;
  }
}

TEST_P(EveryKey, CanBeSetFromTheEnvironment) {
  std::string variable = "KEISEI_";
  for (const char c : key_.name) {
    variable += c == '.' ? "__" : std::string(1, static_cast<char>(std::toupper(c)));
  }
  const std::string value = is_number(key_)
                                ? literal(key_, key_.max)
                                : std::string(key_.choices.empty() ? "true" : key_.choices[0]);
  const auto read = load_options(
      {.file = std::nullopt, .environment = {variable + "=" + value}, .assignments = {}});
  if (!read) {  // the largest value alone may not fit another key
    EXPECT_THAT(read.error().message, HasSubstr("is more than"));
    return;
  }
  EXPECT_EQ(read->origins.at(std::string(key_.name)), "environment " + variable);
}

TEST(Options, StrongerSourcesWinAndEachValueKnowsItsOrigin) {
  const auto file = std::filesystem::temp_directory_path() / fmt::format("o{}.toml", ::getpid());
  std::ofstream(file) << "[training]\nseed = 1\nworkers = 3\n  net = \"b4c64\"\n";
  const auto options =
      load_options({.file = file,
                    .environment = {"HOME=/", "KEISEI_TRAINING__SEED=2",
                                    "KEISEI_TRAINING__WORKERS=5", "KEISEI_OTHER=x"},
                    .assignments = {"training.seed=3", "training.seed=4"}});
  std::filesystem::remove(file);
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->training.seed, 4);
  EXPECT_EQ(options->training.workers, 5);
  EXPECT_EQ(options->training.net, "b4c64");
  EXPECT_EQ(options->origins.at("training.seed"), "command line");
  EXPECT_EQ(options->origins.at("training.workers"), "environment KEISEI_TRAINING__WORKERS");
  EXPECT_EQ(options->origins.at("training.net"), file.string() + ":4:3");
  EXPECT_FALSE(options->origins.contains("training.epochs"));
}

TEST(Options, TextAndListsNeedNoQuotesOnTheCommandLine) {
  const auto options =
      from_command_line({"evaluation.opponents=random,a b.safetensors", "training.net=b4c64",
                         "evaluation.limits.cpu_percent=50", "evaluation.worker=/a=b c"});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_THAT(options->evaluation.opponents, testing::ElementsAre("random", "a b.safetensors"));
  EXPECT_EQ(options->evaluation.limits.cpu_percent, 50);
  EXPECT_EQ(options->evaluation.worker, "/a=b c");
  EXPECT_THAT(from_command_line({"evaluation.opponents=[\"usi:a,b\"]"})->evaluation.opponents,
              testing::ElementsAre("usi:a,b"));
  EXPECT_FALSE(
      from_command_line({"evaluation.limits.cpu_percent=50", "evaluation.limits.cpu_percent=unset"})
          ->evaluation.limits.cpu_percent.has_value());
}

TEST(Options, TheCommandLineAndTheEnvironmentGetTheSameErrors) {
  EXPECT_THAT(message_of(from_command_line({"training.nett=1"})),
              HasSubstr("command line: unknown key «training.nett»; did you mean «training.net»?"));
  EXPECT_THAT(message_of(from_command_line({"training.seed"})), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(message_of(from_command_line({"training.seed=many"})),
              HasSubstr("must be an integer, and not text"));
  EXPECT_THAT(message_of(from_command_line({"training.seed=1.5"})), HasSubstr("not a number"));
  EXPECT_THAT(message_of(from_command_line({"evaluation.worker=\xff"})), HasSubstr("UTF-8"));
  EXPECT_THAT(message_of(from_command_line({"training.seed=1\ntraining.net=1"})),
              HasSubstr("must be an integer"));
  const auto from_environment = load_options(
      {.file = std::nullopt, .environment = {"KEISEI_TRAINING__NETT=1"}, .assignments = {}});
  EXPECT_THAT(message_of(from_environment),
              HasSubstr("environment KEISEI_TRAINING__NETT: unknown key"));
}

TEST(Options, AKeyInTheWrongSectionIsFound) {
  EXPECT_THAT(message_of(parse_options("[evaluation]\ntimeout_s = 3", "t")),
              HasSubstr("t:2:1: unknown key «evaluation.timeout_s»; did you mean "
                        "«evaluation.limits.timeout_s»?"));
}

TEST(Options, UnknownAndMisplacedTablesAreRefused) {
  EXPECT_THAT(message_of(parse_options("[trainning]\n", "t")), HasSubstr("t:1:2: unknown key"));
  EXPECT_THAT(message_of(parse_options("[training.net]\n", "t")), HasSubstr("not a table"));
  EXPECT_THAT(message_of(parse_options("training = 3\n", "t")), HasSubstr("unknown key"));
  EXPECT_TRUE(parse_options("[evaluation.limits]\n", "t").has_value());
}

TEST(Options, BrokenTomlIsPlaced) {
  const auto read = parse_options("[training]\nseed = = 3\n", "runs/x.toml");
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().kind, ErrorKind::Usage);
  EXPECT_THAT(read.error().message, HasSubstr("runs/x.toml:2:"));
  EXPECT_FALSE(parse_options("[training]\nseed = 1\nseed = 2\n", "t").has_value());
}

TEST(Options, ANumberThatIsNotOneIsOutOfRange) {
  EXPECT_FALSE(parse_options("training.learning_rate = nan", "t").has_value());
  EXPECT_FALSE(parse_options("training.learning_rate = inf", "t").has_value());
  EXPECT_FALSE(parse_options("training.seed = 99999999999999999999", "t").has_value());
}

TEST(Options, AnIntegerIsANumberButNotTheOtherWayRound) {
  EXPECT_EQ(parse_options("evaluation.limits.timeout_s = 2", "t")->evaluation.limits.timeout_s, 2);
  EXPECT_FALSE(parse_options("training.seed = 2.0", "t").has_value());
}

TEST(Options, ValuesMustFitEachOther) {
  EXPECT_THAT(message_of(from_command_line({"training.environments=1"})),
              AllOf(HasSubstr("training.minibatch = 512 (default)"), HasSubstr("= 64")));
  EXPECT_THAT(message_of(from_command_line({"training.micro_batch=1024"})),
              HasSubstr("training.micro_batch = 1024 (command line)"));
}

TEST(Options, AMissingFileIsAConfigurationError) {
  const auto read = load_options({.file = "/none.toml", .environment = {}, .assignments = {}});
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().kind, ErrorKind::Usage);
  EXPECT_THAT(read.error().message, HasSubstr("/none.toml"));
}

TEST(Options, TheTomlExplainsEachKey) {
  EXPECT_THAT(to_toml(Options{}),
              AllOf(HasSubstr("[evaluation.limits]\n"),
                    HasSubstr("a number, 0.01 .. 86400, seconds\ntimeout_s = 300.0\n"),
                    HasSubstr("\nclip = 0.2\n"), HasSubstr("# cpu_percent = unset\n"),
                    HasSubstr("opponents = [\"random\"]\n")));
}

TEST(Options, TheJsonHasEveryKey) {
  const auto json = nlohmann::json::parse(to_json(from_command_line({"training.seed=7"}).value()));
  EXPECT_EQ(json.size(), option_keys().size());
  EXPECT_EQ(json["training.seed"]["value"], 7);
  EXPECT_EQ(json["training.seed"]["origin"], "command line");
  EXPECT_TRUE(json["evaluation.limits.cpu_percent"]["value"].is_null());
}

TEST(Options, TheEnvironmentOfThisProcessCanBeRead) { EXPECT_FALSE(process_environment().empty()); }

}  // namespace
}  // namespace keisei::app
