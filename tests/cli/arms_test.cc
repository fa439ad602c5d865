// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The arms are what their names promise, and lists of them are read as documented.
#include "arms.h"

#include <gtest/gtest.h>

#include "error.h"

namespace thriftattn::cli {
namespace {

std::vector<Arm> parse(const std::string& list, Phase phase = Phase::kDecode) {
  ArmDefaults defaults;
  defaults.phase = phase;
  return parse_arms(std::vector<std::string>{list}, defaults);
}

int exit_code_of(const std::string& list) {
  try {
    parse(list);
  } catch (const CliError& error) {
    return error.exit_code();
  }
  return 0;
}

int unit(SelectionUnit value) { return static_cast<int>(value); }

TEST(Arms, ExactArmsDifferInSplitsOnly) {
  const auto arms = parse("fp16,floor");
  ASSERT_EQ(arms.size(), 2u);
  EXPECT_TRUE(arms[0].exact() && arms[1].exact());
  EXPECT_NE(arms[0].options.split_blocks, arms[1].options.split_blocks);
  EXPECT_EQ(arms[0].policy(), "exact");
}

TEST(Arms, PlainArmsChooseNothing) {
  const auto arms = parse("fp4_all,fp4");
  for (const Arm& arm : arms) {
    const thriftattn_ggml_options& o = arm.options;
    EXPECT_EQ(o.budget, 0.0);
    EXPECT_EQ(o.tau, 0.0);
    EXPECT_FALSE(o.force_sink || o.centre_k || o.token_norms);
    EXPECT_EQ(o.scale_rule, static_cast<int>(ScaleRule::kNearest));
    EXPECT_EQ(arm.policy(), "none");
  }
  EXPECT_TRUE(arms[0].options.seal_own && !arms[0].options.force_own);
  EXPECT_TRUE(!arms[1].options.seal_own && arms[1].options.force_own);
}

TEST(Arms, PaperIsThePublishedMethod) {
  const Arm arm = parse("paper").front();
  const thriftattn_ggml_options& o = arm.options;
  EXPECT_EQ(arm.policy(), "block_mean");
  EXPECT_EQ(o.budget, 0.05);
  EXPECT_EQ(o.k_share, 1.0);
  EXPECT_EQ(o.v_share, 1.0);
  EXPECT_EQ(o.tau, 0.0);
  EXPECT_TRUE(o.force_own && !o.force_sink && !o.centre_k && !o.token_norms);
  EXPECT_EQ(o.unit, unit(SelectionUnit::kTokenPerQHead));
}

TEST(Arms, ThriftIsTheLibrarysDefault) {
  const Arm arm = parse("thrift").front();
  const Selection defaults;
  const thriftattn_ggml_options& o = arm.options;
  EXPECT_EQ(arm.policy(), "fp4_mass");
  EXPECT_EQ(o.budget, defaults.budget.value);
  EXPECT_EQ(o.k_share, defaults.budget.k_share);
  EXPECT_EQ(o.v_share, defaults.budget.v_share);
  EXPECT_EQ(o.tau, defaults.tau);
  EXPECT_TRUE(o.force_sink && o.force_own && o.centre_k && o.token_norms && !o.seal_own);
  EXPECT_EQ(o.crossover_tokens, 0);
}

TEST(Arms, NestedIsThriftWithTheOtherHighTier) {
  for (const Phase phase : {Phase::kDecode, Phase::kPrefill}) {
    const auto arms = parse("thrift,nested,thrift:nested=1,fp4", phase);
    EXPECT_EQ(arms[0].options.high_tier, static_cast<int>(HighTier::kRows16));
    EXPECT_EQ(arms[1].options.high_tier, static_cast<int>(HighTier::kNested));
    EXPECT_EQ(arms[2].options.high_tier, static_cast<int>(HighTier::kNested));
    EXPECT_EQ(arms[3].options.high_tier, static_cast<int>(HighTier::kRows16));
    EXPECT_EQ(arms[1].options.tau, arms[0].options.tau);
    EXPECT_EQ(arms[1].options.k_share, arms[0].options.k_share);
    EXPECT_EQ(arms[1].options.unit, arms[0].options.unit);
  }
}

TEST(Arms, Lag1IsThriftWithTheSetsOfTheStepBefore) {
  const auto arms = parse("thrift,thrift_lag1,nested:lag=1");
  EXPECT_EQ(arms[0].options.set_lag, 0);
  EXPECT_EQ(arms[1].options.set_lag, 1);
  EXPECT_EQ(arms[1].options.unit, arms[0].options.unit);
  EXPECT_EQ(arms[1].options.tau, arms[0].options.tau);
  EXPECT_EQ(arms[2].options.set_lag, 1);
  EXPECT_EQ(arms[2].options.high_tier, static_cast<int>(HighTier::kNested));
  EXPECT_THROW(parse("thrift_lag1", Phase::kPrefill), CliError);
}

TEST(Arms, PrefillSelectsByTileAndStepsByToken) {
  for (const Arm& arm : parse("paper,thrift", Phase::kPrefill)) {
    EXPECT_EQ(arm.options.unit, unit(SelectionUnit::kTile));
    EXPECT_NE(arm.step_unit, SelectionUnit::kTile);
  }
}

TEST(Arms, VariantsTakeKeys) {
  const auto arms = parse("fp16,thrift:budget=0.01,tau=0,name=one,fp4,thrift:policy=quest");
  ASSERT_EQ(arms.size(), 4u);
  EXPECT_EQ(arms[1].name, "one");
  EXPECT_EQ(arms[1].options.budget, 0.01);
  EXPECT_EQ(arms[1].options.tau, 0.0);
  EXPECT_EQ(arms[2].name, "fp4");
  EXPECT_EQ(arms[3].policy(), "quest");
  EXPECT_EQ(arms[3].options.budget, 0.05);
}

TEST(Arms, EqualNamesGetNumbers) {
  const auto arms = parse("thrift,thrift:tau=0,thrift:tau=0.03");
  EXPECT_EQ(arms[0].name, "thrift");
  EXPECT_EQ(arms[1].name, "thrift#2");
  EXPECT_EQ(arms[2].name, "thrift#3");
}

TEST(Arms, NonsenseIsAUsageError) {
  for (const char* list :
       {"", "fp8", "thrift:budget=2", "thrift:tau=-0.1", "thrift:budget=nan", "thrift:budget=x",
        "thrift:budget", "thrift:colour=1", "thrift:policy=best", "thrift:unit=page",
        "thrift:centre_k=yes", "thrift:splits=0", "tau=0"}) {
    EXPECT_EQ(exit_code_of(list), kExitUsage) << list;
  }
  EXPECT_EQ(exit_code_of("thrift:budget=1,tau=1"), 0);
}

}  // namespace
}  // namespace thriftattn::cli
