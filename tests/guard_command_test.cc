// `keisei guard` as people use it: exit codes, streams, signals, the record.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "guarded_run.h"
#include "os/child.h"

namespace keisei {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

class GuardCommand : public testing::Test {
 protected:
  struct Answer {
    os::ExitStatus status;
    std::string out;
    std::string err;
  };

  static std::string program() {
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "keisei").string();
  }
  os::Child start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {program(), "guard"});
    return start_program(arguments);
  }
  os::Child start_program(const std::vector<std::string>& argv) {
    const UniqueFd in(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const UniqueFd out = file("out");
    const UniqueFd err = file("err");
    Result<os::Child> child =
        os::Child::spawn({.argv = argv,
                          .environment = runs_.environment(),
                          .fds = {{in.get(), 0}, {out.get(), 1}, {err.get(), 2}}});
    EXPECT_TRUE(child) << child.error().message;
    return std::move(*child);
  }
  Answer finish(os::Child child) {
    const os::ExitStatus status = child.wait();
    EXPECT_THAT(runs_.survivors(), IsEmpty());
    return {status, read_file(runs_.directory() / "out").value_or(""),
            read_file(runs_.directory() / "err").value_or("")};
  }
  Answer run(std::vector<std::string> arguments) { return finish(start(std::move(arguments))); }
  Answer shell(const std::string& script) { return run({"--", "/bin/sh", "-c", script}); }

  void await_output(const std::string& expected) {
    const MonotonicTime deadline = MonotonicClock::now() + 30s;
    while (read_file(runs_.directory() / "out").value_or("") != expected &&
           MonotonicClock::now() < deadline) {
      std::this_thread::sleep_for(5ms);
    }
  }

  /// From then on a signal does not end the guard itself.
  static void await_blocked_signals(pid_t pid) {
    const std::string status = "/proc/" + std::to_string(pid) + "/status";
    const MonotonicTime deadline = MonotonicClock::now() + 30s;
    while (read_file(status).value_or("").find("SigBlk:\t0000000000000000") != std::string::npos &&
           MonotonicClock::now() < deadline) {
      std::this_thread::sleep_for(5ms);
    }
  }

  static std::vector<pid_t> children(pid_t pid) {
    std::istringstream list(
        read_file(fmt::format("/proc/{}/task/{}/children", pid, pid)).value_or(""));
    return {std::istream_iterator<pid_t>(list), {}};
  }
  /// The init of the tree, behind the front where this test has a terminal. Its starter, which has
  /// the same name, has no child.
  static pid_t jail_below(pid_t pid) {
    for (const pid_t child : children(pid)) {
      const std::string name = read_file(fmt::format("/proc/{}/comm", child)).value_or("");
      const bool is_init = name == "keisei-jail\n" && !children(child).empty();
      if (const pid_t found = is_init ? child : jail_below(child); found > 0) {
        return found;
      }
    }
    return -1;
  }

  UniqueFd file(const char* name) {
    return UniqueFd(
        open((runs_.directory() / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  }

  testing_support::GuardedRuns runs_;
};

TEST_F(GuardCommand, StandsBetweenNothing) {
  const Answer answer = shell("echo out; echo err >&2; exit 3");
  EXPECT_EQ(answer.status.code, 3);
  EXPECT_EQ(answer.out, "out\n");
  EXPECT_EQ(answer.err, "err\n");
}

TEST_F(GuardCommand, AnswersWithTheCodesOfItsContract) {
  EXPECT_EQ(shell("kill -SEGV $$").status.code, 128 + SIGSEGV);
  EXPECT_EQ(run({"--", "/nonexistent"}).status.code, 127);
  EXPECT_EQ(run({"--", "/"}).status.code, 126);
  EXPECT_EQ(run({"--timeout", "100ms", "--", "/bin/sleep", "1000"}).status.code, 124);
  EXPECT_EQ(run({"--processes", "1", "--", "/bin/sh", "-c", "sleep 1000; :"}).status.code, 137);
  EXPECT_EQ(
      run({"--memory", "20MB", "--", testing_support::adversary_path("leak").string()}).status.code,
      137);
}

/// One line of data/guard_misuse.tsv.
struct Misuse {
  int code = 0;
  std::vector<std::string> words;
  std::vector<std::string> arguments;
};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, at);) {
    parts.push_back(part);
  }
  return parts;
}

std::string filled_in(std::string text, const std::filesystem::path& directory) {
  for (const auto& [name, value] :
       {std::pair<std::string, std::string>{"{plain}", (directory / "plain").string()},
        {"{dir}", directory.string()},
        {"{}", ""}}) {
    if (const std::size_t at = text.find(name); at != std::string::npos) {
      text.replace(at, name.size(), value);
    }
  }
  return text;
}

std::vector<Misuse> misuses(const std::filesystem::path& directory) {
  std::vector<Misuse> rows;
  std::ifstream file(std::filesystem::path(KEISEI_TEST_DATA) / "guard_misuse.tsv");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') {
      continue;
    }
    std::vector<std::string> columns = split(line, '\t');
    Misuse row{.code = std::stoi(columns.at(0)),
               .words = split(filled_in(columns.at(1), directory), '|'),
               .arguments = {}};
    for (std::size_t i = 2; i < columns.size(); ++i) {
      row.arguments.push_back(filled_in(columns[i], directory));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

TEST_F(GuardCommand, MisuseGetsOneClearMessageAndLeavesNothing) {
  std::ofstream(runs_.directory() / "plain") << "#!/bin/sh\n";
  file("out");
  file("err");
  const auto left = [this] {
    std::set<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(runs_.directory())) {
      files.insert(entry.path());
    }
    return files;
  };
  const auto before = left();
  const std::vector<Misuse> rows = misuses(runs_.directory());
  EXPECT_GE(rows.size(), 40U);
  for (const Misuse& row : rows) {
    const Answer answer = run(row.arguments);
    const std::string line = testing::PrintToString(row.arguments);
    EXPECT_EQ(answer.status.code, row.code) << line << answer.err;
    for (const std::string& word : row.words) {
      EXPECT_THAT(answer.err, HasSubstr(word)) << line;
    }
    EXPECT_LE(std::ranges::count(answer.err, '\n'), 2) << line << answer.err;
    EXPECT_THAT(answer.out, IsEmpty()) << line;
  }
  EXPECT_EQ(left(), before);
}

TEST_F(GuardCommand, PassesEveryByteOfItsInput) {
  std::string bytes(300'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i * 7 + i / 256);
  }
  std::ofstream(runs_.directory() / "bytes", std::ios::binary) << bytes;
  const std::string keisei = program();
  const auto in_shell = [&](const std::string& line) {
    return finish(start_program({"/bin/sh", "-c", line}));
  };
  const std::string input = (runs_.directory() / "bytes").string();
  EXPECT_EQ(in_shell(keisei + " guard -- cat <" + input).out, bytes);
  EXPECT_EQ(in_shell("cat " + input + " | " + keisei + " guard -- cat | cat").out, bytes);
  EXPECT_EQ(in_shell(keisei + " guard -- sh -c 'cat; exit 3' <&-").status.code, 3);
  EXPECT_EQ(in_shell(keisei + " guard -- sh -c 'echo lost; exit 4' >&-").status.code, 4);
  EXPECT_EQ(in_shell(keisei + " guard -- sh -c 'echo lost >&2; exit 5' 2>&-").status.code, 5);
  EXPECT_EQ(in_shell(keisei + " guard --report - -- sh -c 'exit 6' 2>/dev/full").status.code, 125);
}

TEST_F(GuardCommand, PassesOnTheDescriptorsThatItWasGiven) {
  const std::string reads = " /bin/sh -c 'cat <&7; echo written >&8'";
  const std::string guards = program() + " guard ";
  const auto with_descriptors = [&](const std::string& command) {
    const std::string made = (runs_.directory() / "made-by-it").string();
    Answer answer = finish(start_program(
        {"/bin/sh", "-c", "echo given | { exec 7<&0 8>" + made + "; " + command + "; }"}));
    answer.out += read_file(made).value_or("");
    return answer;
  };
  const Answer plain = with_descriptors(guards + "--" + reads);
  EXPECT_EQ(plain.status.code, 0) << plain.err;
  EXPECT_EQ(plain.out, "given\nwritten\n");
  EXPECT_THAT(plain.err, IsEmpty());
  const Answer strict = with_descriptors(guards + "--strict --" + reads);  // 7 and 8 are closed
  EXPECT_EQ(strict.status.code, 2);
  EXPECT_THAT(strict.err, HasSubstr("7: "));
  EXPECT_THAT(strict.out, IsEmpty());
}

TEST_F(GuardCommand, KeepsTheDescriptorOfItsRecordToItself) {
  const std::string made = (runs_.directory() / "made-record").string();
  const Answer answer =
      finish(start_program({"/bin/sh", "-c",
                            "exec 7>" + made + "; exec " + program() +
                                " guard --report /dev/fd/7 -- /bin/sh -c 'echo forged >&7'"}));
  EXPECT_EQ(answer.status.code, 2) << answer.err;
  const auto record = nlohmann::json::parse(read_file(made).value_or(""), nullptr, false);
  ASSERT_TRUE(record.is_object());
  EXPECT_EQ(record["outcome"], "Finished");
  EXPECT_EQ(record["exit"]["code"], 2);
}

TEST_F(GuardCommand, SaysWhichDescriptorItCannotPassOn) {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd err = file("err");
  const UniqueFd out = file("out");
  Result<os::Child> child = os::Child::spawn(
      {.argv = {program(), "guard", "--", "/bin/echo", "on"},
       .environment = runs_.environment(),
       .fds = {{null.get(), 0}, {out.get(), 1}, {err.get(), 2}, {null.get(), 205}}});
  ASSERT_TRUE(child) << child.error().message;
  const Answer answer = finish(std::move(*child));
  EXPECT_EQ(answer.status.code, 0);
  EXPECT_EQ(answer.out, "on\n");
  EXPECT_THAT(answer.err, HasSubstr("descriptor 205 is not passed on"));
}

TEST_F(GuardCommand, WithoutATerminalTheCommandHasASessionOfItsOwn) {
  // Field 6 of stat is the session; cut's own name has no space.
  const Answer inside = finish(start_program({"/usr/bin/setsid", "--wait", program(), "guard", "--",
                                              "cut", "-d ", "-f1,6", "/proc/self/stat"}));
  const std::vector<std::string> numbers = split(inside.out, ' ');
  ASSERT_EQ(numbers.size(), 2U) << inside.out;
  EXPECT_EQ(std::stoi(numbers[0]), std::stoi(numbers[1]));
}

TEST_F(GuardCommand, AStopSignalDoesNotStopTheGuard) {
  os::Child child = start({"--timeout", "1s", "--", "/bin/sh", "-c", "echo ready; sleep 1000"});
  await_output("ready\n");
  for (const int signal : {SIGTSTP, SIGTTIN, SIGTTOU}) {
    child.signal(signal);
  }
  EXPECT_EQ(finish(std::move(child)).status.code, 124);
}

TEST_F(GuardCommand, WritesTheRecord) {
  const std::string record = (runs_.directory() / "record.json").string();
  EXPECT_EQ(run({"--report", record, "--", "/bin/sh", "-c", "exit 7"}).status.code, 7);
  const auto json = nlohmann::json::parse(read_file(record).value_or("null"));
  EXPECT_EQ(json["outcome"], "Finished");
  EXPECT_EQ(json["exit"]["code"], 7);
  EXPECT_EQ(json["profile"], "command");
  EXPECT_TRUE(json["gpu"].is_null());  // nobody asks about so short a run
  const Answer strict = run({"--strict", "--report", "-", "--", "/bin/true"});
  EXPECT_EQ(nlohmann::json::parse(strict.err)["profile"], "worker");
}

TEST_F(GuardCommand, WithoutSeccompInTheKernelTheRestHoldsAndTheTierSaysSo) {
  const std::string record = (runs_.directory() / "record.json").string();
  const std::string player = (std::filesystem::path(program()).parent_path() / "without_seccomp");
  const Answer answer = finish(start_program({player, program(), "guard", "--strict", "--report",
                                              record, "--", "/bin/sh", "-c", "exit 7"}));
  EXPECT_EQ(answer.status.code, 7) << answer.err;
  const auto tier = nlohmann::json::parse(read_file(record).value_or("null"))["tier"];
  EXPECT_THAT(tier["not_enforced"].dump(), HasSubstr("system calls: seccomp")) << tier.dump();
  EXPECT_THAT(tier["enforced"].dump(), testing::Not(HasSubstr("seccomp"))) << tier.dump();
}

TEST_F(GuardCommand, WritesTheRecordIntoWhatIsNoPlainFile) {
  const std::filesystem::path fifo = runs_.directory() / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const UniqueFd reader(open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_EQ(run({"--report", fifo.string(), "--", "/bin/true"}).status.code, 0);
  EXPECT_TRUE(std::filesystem::is_fifo(fifo));
  std::string text(1 << 16, '\0');
  const ssize_t got = read(reader.get(), text.data(), text.size());
  ASSERT_GT(got, 0);
  text.resize(static_cast<std::size_t>(got));
  EXPECT_EQ(nlohmann::json::parse(text)["outcome"], "Finished");
  EXPECT_EQ(run({"--report", "/dev/null", "--", "/bin/true"}).status.code, 0);
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST_F(GuardCommand, FollowsALinkToItsRecord) {
  const std::filesystem::path target = runs_.directory() / "target.json";
  const std::filesystem::path link = runs_.directory() / "link.json";
  std::filesystem::create_symlink("target.json", link);
  for (int time = 0; time < 2; ++time) {  // the target is made, then replaced
    EXPECT_EQ(run({"--report", link.string(), "--", "/bin/true"}).status.code, 0);
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_EQ(nlohmann::json::parse(read_file(target).value_or("null"))["outcome"], "Finished");
  }
  // A link to an open file keeps what is in it already.
  const Answer mixed = run({"--report", "/dev/stdout", "--", "/bin/echo", "out"});
  EXPECT_THAT(mixed.out, testing::StartsWith("out\n{"));
}

TEST_F(GuardCommand, StartsNothingWhereTheRecordCannotBeWritten) {
  const std::string made = (runs_.directory() / "made").string();
  const std::filesystem::path ring = runs_.directory() / "ring";
  std::filesystem::create_symlink("ring", ring);
  for (const std::string& where :
       {std::string("/nonexistent/record.json"), std::string("/"), ring.string()}) {
    const Answer answer = run({"--report", where, "--", "/bin/touch", made});
    EXPECT_EQ(answer.status.code, 125) << where;
    EXPECT_THAT(answer.err, HasSubstr(where));
    EXPECT_FALSE(std::filesystem::exists(made)) << where;
  }
}

/// A shell whose files may not grow beyond half a kilobyte starts the guard.
TEST_F(GuardCommand, ARecordBeyondTheLimitOnFileSizesIsOneErrorAndNotItsEnd) {
  const std::string record = (runs_.directory() / "record.json").string();
  const std::string guard = "ulimit -f 1; exec " + program() + " guard ";
  const Answer answer = finish(start_program(
      {"/bin/dash", "-c", guard + "--report " + record + " -- /bin/dash -c 'echo ran; exit 7'"}));
  EXPECT_EQ(answer.status.code, 125) << answer.err;
  EXPECT_EQ(answer.out, "ran\n");
  EXPECT_THAT(answer.err, HasSubstr("ulimit -f"));
  EXPECT_EQ(std::ranges::count(answer.err, '\n'), 1) << answer.err;
  EXPECT_FALSE(std::filesystem::exists(record));
}

TEST_F(GuardCommand, TheCommandItselfStillEndsAtTheLimitOnFileSizes) {
  const std::string large = (runs_.directory() / "large").string();
  const Answer answer = run({"--file-size", "1MB", "--", "/bin/dash", "-c",
                             "exec /usr/bin/head -c 2000000 /dev/zero > " + large});
  EXPECT_EQ(answer.status.code, 137) << answer.err;
  EXPECT_THAT(answer.err, HasSubstr("OverFiles"));
}

TEST_F(GuardCommand, ForwardsSignals) {
  os::Child child = start({"--", "/bin/sh", "-c",
                           "trap 'echo caught; exit 9' TERM; echo ready; "
                           "while :; do sleep 0.05; done"});
  await_output("ready\n");
  child.signal(SIGTERM);
  const Answer answer = finish(std::move(child));
  EXPECT_EQ(answer.status.code, 9);
  EXPECT_EQ(answer.out, "ready\ncaught\n");
}

TEST_F(GuardCommand, ASignalEndsTheWaitForASlot) {
  std::filesystem::create_directories(runs_.slots());
  std::vector<UniqueFd> held;
  for (int slot = 0; slot < 4; ++slot) {
    const std::string path = (runs_.slots() / ("slot-" + std::to_string(slot) + ".lock")).string();
    held.emplace_back(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(flock(held.back().get(), LOCK_EX | LOCK_NB), 0);
  }
  const std::string made = (runs_.directory() / "made").string();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    os::Child child = start({"--slots", runs_.slots().string(), "--", "/bin/touch", made});
    await_blocked_signals(child.pid());
    child.signal(signal);
    const Answer answer = finish(std::move(child));
    EXPECT_EQ(answer.status.code, 128 + signal);
    EXPECT_THAT(answer.err, HasSubstr("before it was started"));
    EXPECT_FALSE(std::filesystem::exists(made));
  }
}

TEST_F(GuardCommand, ACommandThatIsKilledFromOutsideIs137AndSaysSo) {
  os::Child child = start({"--", "/bin/sh", "-c", "echo ready; sleep 1000"});
  await_output("ready\n");
  const pid_t init = jail_below(child.pid());
  ASSERT_GT(init, 1);
  ASSERT_EQ(kill(init, SIGKILL), 0);
  const Answer answer = finish(std::move(child));
  EXPECT_EQ(answer.status.code, 137);
  EXPECT_THAT(answer.err, HasSubstr("Crashed"));
  EXPECT_THAT(answer.err, HasSubstr("from outside"));
}

}  // namespace
}  // namespace keisei
