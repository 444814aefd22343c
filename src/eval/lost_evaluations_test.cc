#include "eval/lost_evaluations.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/unique_fd.h"
#include "eval/request.h"

namespace keisei::eval {
namespace {

namespace fs = std::filesystem;

class LostEvaluations : public testing::Test {
 protected:
  LostEvaluations() {
    std::string pattern = (fs::temp_directory_path() / "keisei-lost-XXXXXX").string();
    run_ = mkdtemp(pattern.data());
  }
  ~LostEvaluations() override { fs::remove_all(run_); }

  [[nodiscard]] fs::path file_of(const std::string& id) const {
    return run_ / "evaluations" / id / "request.json";
  }
  void ask(const std::string& id) const {
    fs::create_directories(file_of(id).parent_path());
    std::ofstream(file_of(id)) << to_json(
        EvaluationRequest{.id = id, .step = 512, .opponents = {{.name = "random"}}, .games = 7});
  }

  fs::path run_;
};

TEST_F(LostEvaluations, HaveARequestAndNoRecord) {
  EXPECT_TRUE(find_lost_evaluations(run_, {}).empty());
  ask("000000000512");
  ask("000000000512-2");
  telemetry::EvaluationRecord ended;
  ended.id = "000000000512";
  const auto lost = find_lost_evaluations(run_, {ended});
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_EQ(lost[0].id, "000000000512-2");
  EXPECT_EQ(lost[0].step, 512);
  EXPECT_EQ(lost[0].outcome, "SupervisorLost");
  EXPECT_EQ(lost[0].games_asked, 7);
  EXPECT_EQ(lost[0].request_path, "evaluations/000000000512-2/request.json");
  EXPECT_FALSE(lost[0].cause.empty());
  EXPECT_EQ(find_lost_evaluations(run_, {}).size(), 2U);
  std::ofstream(file_of("000000000512").parent_path() / "report.json") << "{}";
  EXPECT_EQ(find_lost_evaluations(run_, {}).size(), 1U);  // `keisei evaluate --keep` has no store
}

TEST_F(LostEvaluations, AreNotThoseThatSomebodyIsAtWorkAt) {
  ask("1");
  UniqueFd held(open(file_of("1").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(held.get(), LOCK_SH), 0);
  EXPECT_TRUE(find_lost_evaluations(run_, {}).empty());
  held.reset();
  EXPECT_EQ(find_lost_evaluations(run_, {}).size(), 1U);
}

TEST_F(LostEvaluations, WhatCannotBeReadIsLeftOut) {
  ask("1");
  std::ofstream(file_of("1")) << "{";
  fs::create_directories(run_ / "evaluations" / "empty");
  std::ofstream(run_ / "evaluations" / "file") << "x";
  EXPECT_TRUE(find_lost_evaluations(run_, {}).empty());
}

}  // namespace
}  // namespace keisei::eval
