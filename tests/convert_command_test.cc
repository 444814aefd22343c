// The real `keisei convert`: formats by name and by extension, exit codes, and what happens to OUT.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/unique_fd.h"
#include "program.h"
#include "shogi/game_record.h"

namespace keisei::tests {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kOneMove = "V2.2\nN+Sente\nPI\n+\n+7776FU\nT3\n%TORYO\n";

class Convert : public testing::Test {
 protected:
  struct Ended {
    int code = -1;
    std::string out;
    std::string err;
  };

  [[nodiscard]] std::string path(const std::string& name) const {
    return (directory_.path() / name).string();
  }
  std::string file(const std::string& name, std::string_view content) {
    EXPECT_TRUE(write_file_atomically(path(name), content));
    return path(name);
  }
  static std::string content(const std::string& name) { return read_file(name).value_or("(none)"); }
  static std::string record(const std::string& name) {
    return std::string(KEISEI_TEST_DATA) + "/records/" + name;
  }

  Ended convert(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "convert");
    Program program("keisei", arguments, directory_.path());
    const auto status = program.wait(60s);
    EXPECT_TRUE(status.has_value()) << "still running\n" << program.err();
    return {status ? status->code.value_or(-1) : -1, program.out(), program.err()};
  }

  TestDirectory directory_;
};

TEST_F(Convert, TakesTheFormatsFromTheExtensions) {
  const Ended ended = convert({record("shift_jis.kif"), path("a.USI")});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, IsEmpty());
  EXPECT_EQ(content(path("a.USI")), content(record("shift_jis.kif.usi")));
  EXPECT_THAT(ended.err,
              HasSubstr("a.USI has no place for: comments after moves, details (event, "
                        "dates and the like), how games ended, names of players, times"));
}

TEST_F(Convert, WritesKifInShiftJisAndKifuInUtf8) {
  ASSERT_EQ(convert({record("even.kifu"), path("a.kif")}).code, 0);
  ASSERT_EQ(convert({path("a.kif"), path("b.kifu")}).code, 0);
  ASSERT_EQ(convert({record("even.kifu"), path("c.kifu")}).code, 0);
  EXPECT_EQ(content(path("a.kif")).find("先手"), std::string::npos);
  EXPECT_THAT(content(path("a.kif")), HasSubstr("\x90\xe6\x8e\xe8"));
  EXPECT_THAT(content(path("b.kifu")), HasSubstr("先手：先手の人"));
  EXPECT_EQ(content(path("b.kifu")), content(path("c.kifu")));
}

TEST_F(Convert, NamesWhatItDidNotRead) {
  const Ended ended = convert({record("even.kifu"), path("a.csa")});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.err, HasSubstr("even.kifu was not read in full, without: variations (1)"));
}

TEST_F(Convert, NamesCharactersThatShiftJisLacks) {
  const std::string in = file("a.csa", "N+é\nPI\n+\n");
  const Ended ended = convert({in, path("a.kif")});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("1 characters that Shift-JIS lacks"));
}

TEST_F(Convert, PrintsOneJsonDocument) {
  const Ended ended = convert({file("a.csa", kOneMove), path("a.usi"), "--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["from"], "csa");
  EXPECT_EQ(json["to"], "usi");
  EXPECT_EQ(json["encoding"], "UTF-8");
  EXPECT_EQ(json["games"], 1);
  EXPECT_EQ(json["moves"], 1);
  EXPECT_THAT(json["not_read"], IsEmpty());
  EXPECT_EQ(json["not_written"].size(), 3);
}

TEST_F(Convert, WritesToStdout) {
  const Ended ended = convert({file("a.csa", kOneMove), "-", "--to", "usi"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.out, "position startpos moves 7g7f\n");
}

TEST_F(Convert, ReadsStdin) {
  const Ended ended = convert({"-", path("a.usi"), "--from", "csa"});  // stdin is /dev/null here
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("keisei: -: there is no game in it"));
}

TEST_F(Convert, ReadsAPipe) {
  const std::string command =
      fmt::format("'{}/keisei' convert - '{}' --from csa 2>/dev/null", KEISEI_BIN, path("a.usi"));
  FILE* const pipe = ::popen(command.c_str(), "w");
  ASSERT_NE(pipe, nullptr);
  std::fwrite(kOneMove.data(), 1, kOneMove.size(), pipe);
  EXPECT_EQ(::pclose(pipe), 0);
  EXPECT_EQ(content(path("a.usi")), "position startpos moves 7g7f\n");
}

TEST_F(Convert, ReadsAFileOnStdinFromWhereItStands) {
  const std::string in = file("two.usi", "position startpos\nposition startpos moves 7g7f\n");
  const std::string command =
      fmt::format("{{ read first; '{}/keisei' convert - '{}' --from usi; }} <'{}'", KEISEI_BIN,
                  path("a.usi"), in);
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(content(path("a.usi")), "position startpos moves 7g7f\n");
}

TEST_F(Convert, RefusesWhatIsTooLarge) {
  const std::string large = file("large.usi", "");
  fs::resize_file(large, 64'100'000);
  const Ended size = convert({large, path("a.csa")});
  EXPECT_EQ(size.code, 1);
  EXPECT_THAT(size.err, HasSubstr("large.usi: it is larger than 64 MB"));
  std::string games;
  for (std::size_t i = 0; i <= shogi::kMostGames; ++i) {
    games += "startpos\n";
  }
  const Ended many = convert({file("many.usi", games), path("a.csa")});
  EXPECT_EQ(many.code, 1);
  EXPECT_THAT(many.err, HasSubstr("line 100001: more than 100000 games; split the file"));
}

TEST_F(Convert, AnOutThatIsThereKeepsItsMode) {
  const std::string out = file("a.usi", "before");
  for (const mode_t mode : {0600U, 0664U}) {
    ASSERT_EQ(::chmod(out.c_str(), mode), 0);
    ASSERT_EQ(convert({file("a.csa", kOneMove), out}).code, 0);
    struct stat status {};
    ASSERT_EQ(::stat(out.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, mode);
  }
}

TEST_F(Convert, RefusesALinkToNothing) {
  fs::create_symlink(path("none.usi"), path("link.usi"));
  const Ended ended = convert({file("a.csa", kOneMove), path("link.usi")});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("which is not there; create that, or remove the link"));
  EXPECT_TRUE(fs::is_symlink(path("link.usi")));
}

TEST_F(Convert, SeveralGamesGoWhereSeveralFit) {
  const Ended all = convert({record("several_games.csa"), path("a.usi")});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(content(path("a.usi")), content(record("several_games.csa.usi")));

  const Ended one = convert({record("several_games.csa"), path("a.kifu")});
  EXPECT_EQ(one.code, 1);
  EXPECT_THAT(one.err, HasSubstr("there are 2 games, and a file of kifu holds one; choose it with "
                                 "--game N, or write csa or usi"));
  EXPECT_FALSE(fs::exists(path("a.kifu")));

  EXPECT_EQ(convert({record("several_games.csa"), path("a.kifu"), "--game", "2"}).code, 0);
  EXPECT_THAT(content(path("a.kifu")), HasSubstr("先手：two\n"));
  const Ended none = convert({record("several_games.csa"), path("b.kifu"), "--game", "3"});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("--game 3: there are 2 games in it"));
  const Ended second = convert({file("one.csa", kOneMove), path("b.kifu"), "--game", "2"});
  EXPECT_EQ(second.code, 2);
  EXPECT_THAT(second.err, HasSubstr("--game 2: there is 1 game in it"));
}

TEST_F(Convert, NamesWhatIsLostOfTheChosenGameOnly) {
  const std::string in = file("a.csa", "PI\n+\n'plain\n/\nPI\n+\n+7776FU\n");
  EXPECT_THAT(convert({in, path("a.usi"), "--game", "1"}).err, HasSubstr("not read in full"));
  EXPECT_THAT(convert({in, path("a.usi"), "--game", "2"}).err, IsEmpty());
}

TEST_F(Convert, AFailedReadLeavesOutUntouched) {
  const std::string out = file("a.usi", "before");
  const Ended ended = convert({file("bad.csa", "PI\n+\n+7775FU\n"), out});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("bad.csa: line 3: «+7775FU»: the rules do not allow this move"));
  EXPECT_EQ(content(out), "before");
}

TEST_F(Convert, ReplacesOutAlsoThroughALinkAndWhenItIsIn) {
  const std::string in = file("a.csa", kOneMove);
  const std::string out = file("a.usi", "before");
  fs::create_symlink(out, path("link.usi"));
  EXPECT_EQ(convert({in, path("link.usi")}).code, 0);
  EXPECT_TRUE(fs::is_symlink(path("link.usi")));
  EXPECT_EQ(content(out), "position startpos moves 7g7f\n");
  EXPECT_EQ(convert({in, in, "--to", "usi"}).code, 0);
  EXPECT_EQ(content(in), "position startpos moves 7g7f\n");
}

TEST_F(Convert, WritesIntoAFifoInsteadOfReplacingIt) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  const UniqueFd reader(::open(path("fifo").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(reader);
  EXPECT_EQ(convert({file("a.csa", kOneMove), path("fifo"), "--to", "usi"}).code, 0);
  std::array<char, 100> got{};
  const ssize_t size = ::read(reader.get(), got.data(), got.size());
  ASSERT_GT(size, 0);
  EXPECT_EQ(std::string_view(got.data(), static_cast<std::size_t>(size)),
            "position startpos moves 7g7f\n");
}

TEST_F(Convert, MisuseEndsWithTwoAndSaysWhatToDo) {
  const std::string in = file("a.csa", kOneMove);
  for (const auto& [arguments, words] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{in}, "OUT is required"},
           {{in, path("a.txt")},
            "its extension is not csa, kif, kifu, usi or sfen; say the format "
            "with --to"},
           {{path("a.txt"), path("a.usi")}, "say the format with --from"},
           {{"-", path("a.usi")}, "say the format with --from"},
           {{in, "-"}, "say the format with --to"},
           {{in, path("a.usi"), "--to", "pgn"}, "--to"},
           {{in, path("a.usi"), "--game", "0"}, "--game"},
           {{in, "-", "--to", "usi", "--json"}, "--json prints to stdout, and so does OUT"}}) {
    const Ended ended = convert(arguments);
    EXPECT_EQ(ended.code, 2) << words;
    EXPECT_THAT(ended.err, HasSubstr(words));
    EXPECT_FALSE(fs::exists(path("a.usi")));
  }
}

TEST_F(Convert, FilesThatAreNotThereEndWithOne) {
  const Ended in = convert({path("none.csa"), path("a.usi")});
  EXPECT_EQ(in.code, 1);
  EXPECT_THAT(in.err, HasSubstr("none.csa: No such file or directory"));
  const Ended out = convert({file("a.csa", kOneMove), path("none/a.usi")});
  EXPECT_EQ(out.code, 1);
  EXPECT_THAT(out.err, HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace keisei::tests
