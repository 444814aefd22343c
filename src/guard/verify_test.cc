#include "guard/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <set>

#include "guard/isolation_test.h"
#include "guard/verify_impact.h"
#include "os/attack.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

Attack attack_on(std::string promise, std::vector<Outcome> accepted) {
  Attack attack;
  attack.promise = std::move(promise);
  attack.accepted = std::move(accepted);
  attack.limits.timeout = 1s;
  attack.limits.memory = megabytes(500);
  return attack;
}

/// All went as it should.
AttackEvidence evidence_of(Outcome outcome) {
  AttackEvidence evidence;
  evidence.record.outcome = outcome;
  evidence.record.latency_ms = 1001;
  evidence.record.kill_ms = 12;
  evidence.record.peak_memory = megabytes(500);
  evidence.record.limits.memory = megabytes(500);
  evidence.record.sla.memory_overhead_mb.verdict =
      outcome == Outcome::OverMemory ? Verdict::Violated : Verdict::Met;
  evidence.free_slots = 4;
  return evidence;
}

Attack spin() {
  Attack attack = attack_on("time", {Outcome::TimedOut});
  attack.on_time = true;
  return attack;
}

Attack leak() {
  Attack attack = attack_on("memory", {Outcome::OverMemory});
  attack.most_overshoot = megabytes(1);
  return attack;
}

TEST(Verify, AnAttackThatEndsAsItShouldProvesItsPromise) {
  const Finding finding = judge(spin(), evidence_of(Outcome::TimedOut));
  EXPECT_EQ(finding.proof, Proof::Proven);
  EXPECT_THAT(finding.sentence, HasSubstr("1001 ms"));
  EXPECT_THAT(finding.sentence, HasSubstr("dead 12.0 ms after the kill"));
  EXPECT_THAT(finding.sentence, HasSubstr("0 survivors, 4/4 slots free"));
}

TEST(Verify, AnotherOutcomeIsNotProven) {
  const Finding finding = judge(spin(), evidence_of(Outcome::Finished));
  EXPECT_EQ(finding.proof, Proof::NotProven);
  EXPECT_THAT(finding.sentence, HasSubstr("Finished instead of TimedOut"));
}

TEST(Verify, AnEndBeforeOrLongAfterTheTimeLimitIsNotProven) {
  AttackEvidence evidence = evidence_of(Outcome::TimedOut);
  evidence.record.latency_ms = 999;
  EXPECT_EQ(judge(spin(), evidence).proof, Proof::NotProven);
  evidence.record.latency_ms = 2001;
  EXPECT_EQ(judge(spin(), evidence).proof, Proof::NotProven);
}

TEST(Verify, ATreeThatTakesLongToDieIsNotProven) {
  AttackEvidence evidence = evidence_of(Outcome::TimedOut);
  evidence.record.kill_ms = 1001;
  EXPECT_EQ(judge(spin(), evidence).proof, Proof::NotProven);
}

TEST(Verify, APeakBeyondTheAcceptedOvershootIsNotProven) {
  AttackEvidence evidence = evidence_of(Outcome::OverMemory);
  evidence.record.peak_memory = megabytes(501);
  EXPECT_EQ(judge(leak(), evidence).proof, Proof::Proven);
  evidence.record.peak_memory = megabytes(501) + Bytes{1};
  EXPECT_EQ(judge(leak(), evidence).proof, Proof::NotProven);
}

TEST(Verify, MoreCpuTimeThanItsShareIsNotProven) {
  Attack attack = attack_on("cpu", {Outcome::Finished});
  attack.holds_cpu = true;
  attack.limits.cpu_percent = 50;
  AttackEvidence evidence = evidence_of(Outcome::Finished);
  evidence.record.latency_ms = 2000;
  evidence.record.cpu_seconds = 1.1;
  EXPECT_EQ(judge(attack, evidence).proof, Proof::NotRun);  // nobody kept it from anything
  evidence.record.paused_ms = 700;
  EXPECT_EQ(judge(attack, evidence).proof, Proof::Proven);
  EXPECT_THAT(judge(attack, evidence).sentence, HasSubstr("1.10 s of CPU time"));
  evidence.record.cpu_seconds = 1.3;
  EXPECT_EQ(judge(attack, evidence).proof, Proof::NotProven);
  EXPECT_THAT(judge(attack, evidence).sentence, HasSubstr("its limit is 1.00 s"));
}

TEST(Verify, ARecordWhoseVerdictSaysLessThanItsOutcomeIsNotProven) {
  AttackEvidence evidence = evidence_of(Outcome::OverMemory);
  EXPECT_EQ(judge(leak(), evidence).proof, Proof::Proven);
  evidence.record.sla.memory_overhead_mb.verdict = Verdict::Met;
  EXPECT_EQ(judge(leak(), evidence).proof, Proof::NotProven);
  evidence = evidence_of(Outcome::TimedOut);
  evidence.record.sla.evaluation_latency_ms.verdict = Verdict::Met;
  EXPECT_EQ(judge(spin(), evidence).proof, Proof::NotProven);
}

TEST(Verify, WhateverSurvivesOrIsLeftIsNotProven) {
  AttackEvidence survivors = evidence_of(Outcome::OverMemory);
  survivors.survivors = 1;
  EXPECT_EQ(judge(leak(), survivors).proof, Proof::NotProven);
  AttackEvidence slots = evidence_of(Outcome::OverMemory);
  slots.free_slots = 3;
  EXPECT_EQ(judge(leak(), slots).proof, Proof::NotProven);
  AttackEvidence files = evidence_of(Outcome::OverMemory);
  files.files_left = 1;
  EXPECT_EQ(judge(leak(), files).proof, Proof::NotProven);
  AttackEvidence descriptors = evidence_of(Outcome::OverMemory);
  descriptors.descriptors_left = 1;
  EXPECT_EQ(judge(leak(), descriptors).proof, Proof::NotProven);
}

TEST(Verify, AnAttackThatBrokeThroughIsNotProvenWhateverTheOutcome) {
  Attack attack = attack_on("files", {Outcome::Finished});
  AttackEvidence evidence = evidence_of(Outcome::Finished);
  evidence.record.exit.code = os::kAttackBrokeThrough;  // of a command, whose code is its own
  EXPECT_EQ(judge(attack, evidence).proof, Proof::NotProven);
}

TEST(Verify, NothingIsProvenWhereEnforcementIsOff) {
  AttackEvidence evidence = evidence_of(Outcome::TimedOut);
  evidence.record.enforcement = false;
  const Finding finding = judge(spin(), evidence);
  EXPECT_EQ(finding.proof, Proof::NotProven);
  EXPECT_THAT(finding.sentence, HasSubstr("enforcement is switched off"));
}

TEST(Verify, AnAttackThatCouldNotBeMadeIsNotRun) {
  AttackEvidence evidence = evidence_of(Outcome::StartFailed);
  evidence.record.cause = "cannot start it";
  EXPECT_EQ(judge(spin(), evidence).proof, Proof::NotRun);
  evidence = evidence_of(Outcome::Crashed);
  evidence.record.exit.code = os::kAttackNotMade;
  EXPECT_EQ(judge(spin(), evidence).proof, Proof::NotRun);
  evidence = evidence_of(Outcome::Finished);  // of a command, whose code is its own
  evidence.record.exit.code = os::kAttackMisused;
  EXPECT_EQ(judge(attack_on("no orphan", {Outcome::Finished}), evidence).proof, Proof::NotRun);
}

TEST(Verify, ACrashHasToBeNamedExactly) {
  Attack attack = attack_on("cause", {Outcome::Crashed});
  attack.exit = ExitRecord{.code = std::nullopt, .signal = SIGSEGV};
  AttackEvidence evidence = evidence_of(Outcome::Crashed);
  evidence.record.exit.signal = SIGSEGV;
  EXPECT_EQ(judge(attack, evidence).proof, Proof::Proven);
  evidence.record.exit.signal = SIGKILL;
  EXPECT_EQ(judge(attack, evidence).proof, Proof::NotProven);
}

TEST(Verify, AHarmlessRunThatCouldNotBeStartedBesideItIsNotProven) {
  Attack attack = attack_on("processes", {Outcome::OverProcesses});
  AttackEvidence evidence = evidence_of(Outcome::OverProcesses);
  evidence.others.resize(1);
  evidence.others[0].outcome = Outcome::StartFailed;
  EXPECT_EQ(judge(attack, evidence).proof, Proof::NotProven);
}

TEST(Verify, MoreAtOnceThanTheLimitIsNotProven) {
  Attack attack = attack_on("at once", {Outcome::Finished});
  attack.copies = 5;
  AttackEvidence evidence = evidence_of(Outcome::Finished);
  evidence.intervals = {{0, 10}, {1, 10}, {2, 10}, {3, 10}, {10, 20}};
  EXPECT_EQ(judge(attack, evidence).proof, Proof::Proven);
  evidence.intervals.back().begin_ns = 9;
  EXPECT_EQ(judge(attack, evidence).proof, Proof::NotProven);
}

TEST(Verify, AGpuIsMeasuredWhereThereIsOneAndNullWhereThereIsNone) {
  Attack attack = attack_on("gpu", {Outcome::Finished});
  attack.judges_gpu = true;
  AttackEvidence evidence = evidence_of(Outcome::Finished);
  EXPECT_EQ(judge(attack, evidence).proof, Proof::Proven);
  evidence.host_has_gpu = true;
  EXPECT_EQ(judge(attack, evidence).proof, Proof::NotProven);
  evidence.record.gpu = GpuRecord{};
  EXPECT_EQ(judge(attack, evidence).proof, Proof::Proven);
  evidence.host_has_gpu = false;
  EXPECT_EQ(judge(attack, evidence).proof, Proof::NotProven);
}

TEST(Verify, OneFailureDecidesAndNotMeasuredDoesNotCount) {
  EXPECT_EQ(verdict_of(std::vector{Proof::Proven, Proof::NotMeasured}), Proof::Proven);
  EXPECT_EQ(verdict_of(std::vector{Proof::Proven, Proof::NotRun}), Proof::NotRun);
  EXPECT_EQ(verdict_of(std::vector{Proof::NotRun, Proof::NotProven}), Proof::NotProven);
}

TEST(Verify, AnIntervalIsTwoNumbersInOrder) {
  ASSERT_TRUE(parse_interval("5 9\n"));
  EXPECT_EQ(parse_interval("5 9\n")->end_ns, 9);
  for (const char* text : {"", "5", "5 ", "x 9", "9 5", "5,9"}) {
    EXPECT_FALSE(parse_interval(text)) << text;
  }
}

TEST(AttackPlan, AttacksEveryPromiseThatCanBeAttacked) {
  const EvaluationLimits limits = attacked_limits({}, Thoroughness::Quick);
  std::set<std::string> promises;
  for (const Attack& attack : plan_attacks(limits, Thoroughness::Quick, {})) {
    promises.insert(attack.promise);
    EXPECT_FALSE(attack.accepted.empty()) << attack.name;
  }
  EXPECT_THAT(promises,
              testing::UnorderedElementsAre("time", "memory", "processes", "no orphan", "at once",
                                            "files", "system calls", "report", "cause", "gpu"));
}

std::vector<Attack> cpu_rows(double percent, int processors) {
  const EvaluationLimits limits = attacked_limits({.cpu_percent = percent}, Thoroughness::Quick);
  const AttackGround ground{
      .supervisor = {}, .directory = {}, .host_memory = {}, .processors = processors};
  std::vector<Attack> rows;
  for (const Attack& attack : plan_attacks(limits, Thoroughness::Quick, ground)) {
    EXPECT_EQ(attack.limits.cpu_percent.has_value(), attack.promise == "cpu") << attack.name;
    if (attack.promise == "cpu") {
      rows.push_back(attack);
    }
  }
  EXPECT_EQ(rows.empty(), !why_cpu_is_not_attacked(limits, ground).empty());
  return rows;
}

TEST(AttackPlan, AttacksAConfiguredCpuLimitWhereThatShowsAnything) {
  const std::vector<Attack> rows = cpu_rows(100, 2);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows.front().limits.cpu_percent, 100);
  EXPECT_EQ(rows.front().arguments, (std::vector<std::string>{"1000", "2"}));
  EXPECT_TRUE(cpu_rows(190, 2).empty());
  EXPECT_EQ(cpu_rows(190, 16).front().arguments, (std::vector<std::string>{"1000", "4"}));
}

TEST(AttackPlan, TakesTheConfiguredLimitsUnlessTheyAreLarge) {
  const EvaluationLimits small{.timeout = 100ms, .memory = megabytes(20), .processes = 5};
  EXPECT_EQ(attacked_limits(small, Thoroughness::Full).timeout, 100ms);
  EXPECT_EQ(attacked_limits(small, Thoroughness::Full).memory, megabytes(20));
  EXPECT_EQ(attacked_limits(small, Thoroughness::Full).processes, 5);
  const EvaluationLimits large{.max_concurrent = 100, .timeout = 1h, .memory = megabytes(64'000)};
  EXPECT_EQ(attacked_limits(large, Thoroughness::Full).timeout, 1s);
  EXPECT_EQ(attacked_limits(large, Thoroughness::Full).memory, megabytes(500));
  EXPECT_EQ(attacked_limits(large, Thoroughness::Full).max_concurrent, 8);
}

TrialEvidence impact_evidence() {
  TrialEvidence evidence{.limit = 0.25,
                         .rate_before = 500,
                         .rate_beside = 450,
                         .rate_after = 500,
                         .share_beside = 0.75,
                         .ended = 2};
  evidence.impact.running_s = 3;
  evidence.impact.training_s = 12;
  evidence.impact.amortised.upper = 0.2;
  evidence.impact.verdict = ImpactVerdict::Within;
  return evidence;
}

TEST(VerifyImpact, IsProvenWhereBothTheRatesAndTheCertificateSayIt) {
  EXPECT_EQ(judge(impact_evidence()).proof, Proof::Proven);
  TrialEvidence slower = impact_evidence();
  slower.rate_beside = 300;  // whatever the certificate says
  EXPECT_EQ(judge(slower).proof, Proof::NotProven);
  TrialEvidence unproven = impact_evidence();
  unproven.impact.verdict = ImpactVerdict::Unproven;
  EXPECT_EQ(judge(unproven).proof, Proof::NotProven);
}

TEST(VerifyImpact, CountsTheLossOverAllTheTimeThatTheLimitIsMeantFor) {
  TrialEvidence evidence = impact_evidence();
  evidence.rate_beside = 350;  // of the nine seconds 30 %, of the twelve 22.5 %
  EXPECT_EQ(judge(evidence).proof, Proof::Proven);
  EXPECT_THAT(judge(evidence).sentence, testing::HasSubstr("22.5 %"));
}

TEST(VerifyImpact, TellsALossFromAMachineThatChangedItsSpeed) {
  TrialEvidence slowed = impact_evidence();
  slowed.rate_beside = 300;  // 30 % against the rate before
  slowed.rate_after = 320;   // but 5 % against the rate after
  EXPECT_EQ(judge(slowed).proof, Proof::NotRun);
  EXPECT_THAT(judge(slowed).sentence, testing::HasSubstr("changed its own speed"));
  TrialEvidence lost = slowed;
  lost.rate_after = 470;  // 27 %: too much against either
  EXPECT_EQ(judge(lost).proof, Proof::NotProven);
}

TEST(VerifyImpact, IsNotProvenWhereTheCertificateSaysExceededOrTheTrainingDidNotGoOn) {
  TrialEvidence exceeded = impact_evidence();
  exceeded.rate_beside = 300;
  exceeded.rate_after = 320;
  exceeded.impact.verdict = ImpactVerdict::Exceeded;
  EXPECT_EQ(judge(exceeded).proof, Proof::NotProven);
  TrialEvidence stuck = impact_evidence();
  stuck.rate_after = 0;
  EXPECT_EQ(judge(stuck).proof, Proof::NotProven);
  EXPECT_THAT(judge(stuck).sentence, testing::HasSubstr("did not go on"));
}

TEST(VerifyImpact, IsTriedAgainWhereTheHostDecidesAndNowhereElse) {
  int attacks = 0;
  const auto prove = [&attacks](std::vector<TrialEvidence> evidence) {
    attacks = 0;
    return prove_impact([&attacks, evidence = std::move(evidence)] {
      const auto last = static_cast<int>(evidence.size()) - 1;
      return evidence[static_cast<std::size_t>(std::min(attacks++, last))];
    });
  };
  TrialEvidence changed = impact_evidence();
  changed.rate_beside = 300;
  changed.rate_after = 320;
  TrialEvidence lost = impact_evidence();
  lost.rate_beside = 300;
  TrialEvidence busy = lost;
  busy.frames = 50;
  busy.impact.discarded[std::string(discard::kDisturbed)] = 10;
  EXPECT_EQ(prove({changed, busy, impact_evidence()}).proof, Proof::Proven);
  EXPECT_EQ(attacks, 3);
  EXPECT_EQ(prove({changed, lost}).proof, Proof::NotProven);
  EXPECT_EQ(attacks, 2);
  EXPECT_THAT(prove({changed}).sentence, testing::HasSubstr("changed its own speed"));
  EXPECT_EQ(attacks, 3);
  EXPECT_EQ(prove({busy}).proof, Proof::NotRun);
  EXPECT_EQ(attacks, 3);
  TrialEvidence idle = impact_evidence();
  idle.impact.running_s = 0;
  EXPECT_EQ(prove({idle}).proof, Proof::NotRun);
  EXPECT_EQ(attacks, 1);
}

TEST(VerifyImpact, IsNotRunWhereNoEvaluationCameToRunOrTheTrainingFailed) {
  TrialEvidence idle = impact_evidence();
  idle.impact.running_s = 0;
  EXPECT_EQ(judge(idle).proof, Proof::NotRun);
  TrialEvidence failed = impact_evidence();
  failed.trouble = "the training ended as StartFailed";
  EXPECT_EQ(judge(failed).proof, Proof::NotRun);
  EXPECT_EQ(judge(failed).sentence, failed.trouble);
}

TEST(IsolationTest, SaysWhatItSawOrWhyNothing) {
  TrialEvidence evidence = impact_evidence();
  evidence.impact.blocks = 3;
  evidence.impact.while_running.estimate = 0.02;
  EXPECT_EQ(isolation_of(evidence).slack_loss, 0.02);
  EXPECT_THAT(isolation_of(evidence).sentence, testing::HasSubstr("it isolates"));
  evidence.impact.while_running.estimate = 0.5;
  EXPECT_THAT(isolation_of(evidence).sentence, testing::HasSubstr("does NOT isolate"));
  evidence.impact.while_running.estimate = -0.01;  // noise
  EXPECT_EQ(isolation_of(evidence).slack_loss, 0);
  evidence.impact.blocks = 0;
  EXPECT_EQ(isolation_of(evidence).slack_loss, std::nullopt);
  evidence.trouble = "keisei-attack is not there";
  EXPECT_THAT(isolation_of(evidence).sentence, testing::HasSubstr(evidence.trouble));
}

}  // namespace
}  // namespace keisei::guard
