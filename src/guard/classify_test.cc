#include "guard/classify.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace keisei::guard {
namespace {

os::ExitStatus code(int value) { return {.code = value, .signal = std::nullopt}; }
os::ExitStatus signalled(int value) { return {.code = std::nullopt, .signal = value}; }

EndFacts worker(os::ExitStatus exit) {
  EndFacts facts;
  facts.exit = exit;
  facts.sampled_peak = megabytes(40);
  facts.memory_limit = megabytes(500);
  return facts;
}

TEST(Classify, AWorkerThatExitsWithZeroFinished) {
  EXPECT_EQ(classify(worker(code(0))).outcome, Outcome::Finished);
}

TEST(Classify, AWorkersOtherExitCodeIsACrashAndACommandsIsItsOwn) {
  EndFacts facts = worker(code(3));
  EXPECT_EQ(classify(facts).outcome, Outcome::Crashed);
  EXPECT_EQ(classify(facts).cause, "ended by exit code 3");
  facts.profile = Profile::Command;
  EXPECT_EQ(classify(facts).outcome, Outcome::Finished);
}

TEST(Classify, ASignalIsACrashThatNamesIt) {
  const Ending ending = classify(worker(signalled(SIGSEGV)));
  EXPECT_EQ(ending.outcome, Outcome::Crashed);
  EXPECT_EQ(ending.cause, "ended by signal 11 (Segmentation fault)");
}

TEST(Classify, AnAbnormalEndNearTheMemoryLimitIsOverMemory) {
  EndFacts facts = worker(signalled(SIGABRT));
  facts.sampled_peak = megabytes(449);
  EXPECT_EQ(classify(facts).outcome, Outcome::Crashed);
  facts.sampled_peak = megabytes(450);
  EXPECT_EQ(classify(facts).outcome, Outcome::OverMemory);
  facts.exit = code(0);
  EXPECT_EQ(classify(facts).outcome, Outcome::Finished);
}

TEST(Classify, AnAllocationThatWasRefusedAtOnceIsOverMemory) {
  EndFacts facts = worker(signalled(SIGABRT));
  facts.stderr_tail = "terminate called after throwing an instance of 'std::bad_alloc'";
  EXPECT_EQ(classify(facts).outcome, Outcome::OverMemory);
  facts.memory_limit.reset();  // enforcement is off: it was not our refusal
  EXPECT_EQ(classify(facts).outcome, Outcome::Crashed);
}

TEST(Classify, ACommandsExitCodeIsOverMemoryOnlyWhereASampleSawItNearTheLimit) {
  EndFacts facts = worker(code(1));
  facts.profile = Profile::Command;
  facts.largest_process = megabytes(900);  // file-backed pages, which no limit counts
  facts.stderr_tail = "bad_alloc is handled";
  EXPECT_EQ(classify(facts).outcome, Outcome::Finished);
  facts.sampled_peak.reset();
  EXPECT_EQ(classify(facts).outcome, Outcome::Finished);
  facts.sampled_peak = megabytes(460);
  EXPECT_EQ(classify(facts).outcome, Outcome::OverMemory);
}

TEST(Classify, ASignalIsOverMemoryAlsoBetweenTwoSamples) {
  EndFacts facts = worker(signalled(SIGABRT));
  facts.profile = Profile::Command;
  facts.largest_process = megabytes(460);
  EXPECT_EQ(classify(facts).outcome, Outcome::OverMemory);
  facts.largest_process = megabytes(440);
  EXPECT_EQ(classify(facts).outcome, Outcome::Crashed);
}

TEST(Classify, ASignalSoonAfterALargeFileWasMappedIsACrash) {
  EndFacts facts = worker(signalled(SIGSEGV));
  facts.largest_process = megabytes(490);
  facts.most_unseen = most_filled_in(0.010);  // 40 MB were seen, and 80 MB can have come since
  EXPECT_EQ(classify(facts).outcome, Outcome::Crashed);
  facts.most_unseen = most_filled_in(0.052);
  EXPECT_EQ(classify(facts).outcome, Outcome::OverMemory);
  facts.largest_process = megabytes(440);  // but it was never as large
  EXPECT_EQ(classify(facts).outcome, Outcome::Crashed);
  facts.sampled_peak = megabytes(460);
  facts.most_unseen = most_filled_in(-1);  // two clocks that disagree
  EXPECT_EQ(classify(facts).outcome, Outcome::OverMemory);
}

TEST(Classify, NamesFileAndPolicySignals) {
  EXPECT_EQ(classify(worker(signalled(SIGXFSZ))).outcome, Outcome::OverFiles);
  EXPECT_EQ(classify(worker(signalled(SIGSYS))).outcome, Outcome::PolicyViolation);
}

TEST(Classify, AMissingReportIsABadReport) {
  EndFacts facts = worker(code(0));
  facts.wants_report = true;
  EXPECT_EQ(classify(facts).outcome, Outcome::BadReport);
  facts.report = "{}";
  EXPECT_EQ(classify(facts).outcome, Outcome::Finished);
}

TEST(Classify, WhatTheGuardDecidedComesBeforeHowTheProcessEnded) {
  EndFacts facts = worker(signalled(SIGKILL));
  facts.decided = Ending{Outcome::TimedOut, "timeout_s"};
  EXPECT_EQ(classify(facts).outcome, Outcome::TimedOut);
  facts.start_failure = Ending{Outcome::StartFailed, "missing"};
  EXPECT_EQ(classify(facts).outcome, Outcome::StartFailed);
}

TEST(Classify, AnInitThatVanishesIsACrash) {
  EndFacts facts;
  EXPECT_EQ(classify(facts).outcome, Outcome::Crashed);
}

}  // namespace
}  // namespace keisei::guard
