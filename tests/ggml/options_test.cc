// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

namespace thriftattn::plugin {
namespace {

// Sets one variable for the life of a test.
struct Variable {
  const char* name;
  Variable(const char* n, const char* value) : name(n) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name); }
};

TEST(Options, PresetsAreValidAndDifferAsTheyShould) {
  Options thrift, paper, fp4, all, exact;
  ASSERT_TRUE(preset("thrift", thrift));
  ASSERT_TRUE(preset("paper", paper));
  ASSERT_TRUE(preset("fp4", fp4));
  ASSERT_TRUE(preset("fp4_all", all));
  ASSERT_TRUE(preset("exact", exact));
  for (const Options& o : {thrift, paper, fp4, all, exact}) EXPECT_EQ(check(o), "");
  EXPECT_TRUE(exact.exact);
  EXPECT_TRUE(thrift.centre_k && thrift.token_norms && thrift.force_own && thrift.force_sink);
  EXPECT_FALSE(paper.centre_k || paper.token_norms || paper.force_sink);
  EXPECT_EQ(fp4.budget, 0);
  EXPECT_FALSE(fp4.seal_own);
  EXPECT_TRUE(all.seal_own);
  Options none;
  EXPECT_FALSE(preset("best", none));
}

TEST(Options, RefusesWhatMakesNoSense) {
  Options o;
  preset("thrift", o);
  const auto message = [&](auto change) {
    Options changed = o;
    change(changed);
    return check(changed);
  };
  EXPECT_EQ(message([](Options& c) { c.budget = 1.5; }), "budget 1.5: supported 0 to 1");
  EXPECT_EQ(message([](Options& c) { c.tau = 1; }), "tau 1: supported 0 <= tau < 1");
  EXPECT_NE(message([](Options& c) { c.tau = std::nan(""); }), "");
  EXPECT_NE(message([](Options& c) { c.policy = 9; }), "");
  EXPECT_EQ(message([](Options& c) { c.high_tier = 2; }),
            "high_tier 2: supported 0 (rows16), 1 (nested)");
  EXPECT_EQ(message([](Options& c) { c.set_lag = 2; }), "set_lag 2: supported 0, 1");
  EXPECT_EQ(message([](Options& c) { c.set_lag = 1, c.unit = 3; }),
            "set_lag 1: unit 3: supported 1 (token), 2 (token of one q head)");
  EXPECT_NE(message([](Options& c) { c.struct_size = 8; }), "");
  EXPECT_NE(message([](Options& c) { c.split_blocks = 0; }), "");
  EXPECT_NE(message([](Options& c) { c.crossover_tokens = -1; }), "");
  const Options before = current_options();
  Options bad = before;
  bad.tau = 2;
  EXPECT_NE(set_options(&bad), nullptr);
  EXPECT_EQ(current_options().tau, before.tau) << "nothing changes on an error";
}

TEST(Environment, ReadsValuesAndPercentages) {
  const Variable mode("THRIFTATTN_MODE", "paper");
  const Variable budget("THRIFTATTN_BUDGET", "2.5%");
  const Variable tau("THRIFTATTN_TAU", "0.03");
  const Variable policy("THRIFTATTN_POLICY", "quest");
  const Variable compute("THRIFTATTN_COMPUTE", "w4a4");
  const Variable crossover("THRIFTATTN_CROSSOVER", "0");
  const Variable high_tier("THRIFTATTN_HIGH_TIER", "nested");
  ASSERT_EQ(load_environment(), "");
  const Options o = current_options();
  EXPECT_DOUBLE_EQ(o.budget, 0.025);
  EXPECT_DOUBLE_EQ(o.tau, 0.03);
  EXPECT_EQ(o.policy, static_cast<std::int32_t>(Policy::kQuest));
  EXPECT_EQ(o.mode, static_cast<std::int32_t>(ComputeMode::kW4a4));
  EXPECT_EQ(o.crossover_tokens, 0);
  EXPECT_EQ(o.high_tier, static_cast<std::int32_t>(HighTier::kNested));
  EXPECT_FALSE(o.centre_k);
}

TEST(Environment, SaysWhatItGotAndWhatIsSupported) {
  const struct {
    const char *name, *value, *message;
  } cases[] = {
      {"THRIFTATTN_MODE", "best",
       "THRIFTATTN_MODE=best: supported thrift, paper, fp4, fp4_all, exact"},
      {"THRIFTATTN_POLICY", "magic",
       "THRIFTATTN_POLICY=magic: supported fp4_mass, block_mean, quest, local, random"},
      {"THRIFTATTN_BUDGET", "1.5", "THRIFTATTN_BUDGET=1.5: supported 0 to 1, or 0% to 100%"},
      {"THRIFTATTN_BUDGET", "5%x", "THRIFTATTN_BUDGET=5%x: supported 0 to 1, or 0% to 100%"},
      {"THRIFTATTN_BUDGET", "nan", "THRIFTATTN_BUDGET=nan: supported 0 to 1, or 0% to 100%"},
      {"THRIFTATTN_TAU", "-1", "THRIFTATTN_TAU=-1: supported 0 <= tau < 1"},
      {"THRIFTATTN_CROSSOVER", "1.5",
       "THRIFTATTN_CROSSOVER=1.5: supported a whole number of tokens"},
      {"THRIFTATTN_HIGH_TIER", "fp8", "THRIFTATTN_HIGH_TIER=fp8: supported rows16, nested"},
      {"THRIFTATTN_STATS", "yes", "THRIFTATTN_STATS=yes: supported 0, 1"},
  };
  for (const auto& c : cases) {
    const Variable variable(c.name, c.value);
    EXPECT_EQ(load_environment(), c.message);
  }
}

}  // namespace
}  // namespace thriftattn::plugin
