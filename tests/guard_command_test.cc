// `keisei guard` as people use it: exit codes, streams, signals, the record.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <chrono>
#include <nlohmann/json.hpp>
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

  os::Child start(std::vector<std::string> arguments) {
    std::vector<std::string> argv = {
        (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "keisei").string(),
        "guard"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
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
    const MonotonicTime deadline = MonotonicClock::now() + 10s;
    while (read_file(runs_.directory() / "out").value_or("") != expected &&
           MonotonicClock::now() < deadline) {
      std::this_thread::sleep_for(5ms);
    }
  }

  /// From then on a signal does not end the guard itself.
  static void await_blocked_signals(pid_t pid) {
    const std::string status = "/proc/" + std::to_string(pid) + "/status";
    const MonotonicTime deadline = MonotonicClock::now() + 10s;
    while (read_file(status).value_or("").find("SigBlk:\t0000000000000000") != std::string::npos &&
           MonotonicClock::now() < deadline) {
      std::this_thread::sleep_for(5ms);
    }
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

TEST_F(GuardCommand, MisuseIs125WithOneClearMessage) {
  for (const std::vector<std::string>& misuse :
       {std::vector<std::string>{"--memory", "0", "--", "true"},
        {"--memory", "12 parsecs", "--", "true"},
        {"--memory", "1000TB", "--", "true"},
        {"--timeout", "-1s", "--", "true"},
        {"--cpu", "0%", "--", "true"},
        {"--processes", "0", "--", "true"},
        {"--no-such-option", "--", "true"},
        {"--"}}) {
    const Answer answer = run(misuse);
    EXPECT_EQ(answer.status.code, 125) << misuse.front();
    EXPECT_THAT(answer.err, testing::Not(IsEmpty())) << misuse.front();
    EXPECT_THAT(answer.out, IsEmpty()) << misuse.front();
  }
}

TEST_F(GuardCommand, WritesTheRecord) {
  const std::string record = (runs_.directory() / "record.json").string();
  EXPECT_EQ(run({"--report", record, "--", "/bin/sh", "-c", "exit 7"}).status.code, 7);
  const auto json = nlohmann::json::parse(read_file(record).value_or("null"));
  EXPECT_EQ(json["outcome"], "Finished");
  EXPECT_EQ(json["exit"]["code"], 7);
  EXPECT_EQ(json["profile"], "command");
  EXPECT_TRUE(json["gpu"].is_null() || json["gpu"].is_object());
  const Answer strict = run({"--strict", "--report", "-", "--", "/bin/true"});
  EXPECT_EQ(nlohmann::json::parse(strict.err)["profile"], "worker");
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
  const std::string pid = std::to_string(child.pid());
  const std::string children = "/proc/" + pid + "/task/" + pid + "/children";
  const int init = std::stoi(read_file(children).value_or("0"));
  ASSERT_GT(init, 1);
  ASSERT_EQ(kill(init, SIGKILL), 0);
  const Answer answer = finish(std::move(child));
  EXPECT_EQ(answer.status.code, 137);
  EXPECT_THAT(answer.err, HasSubstr("Crashed"));
  EXPECT_THAT(answer.err, HasSubstr("from outside"));
}

}  // namespace
}  // namespace keisei
