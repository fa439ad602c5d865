// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The forms of a result: JSON by its documented keys, a page that loads nothing, and what the
// numbers are.
#include "report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace thriftattn::cli {
namespace {

using Json = nlohmann::json;

ArmReport arm_of(const char* name, double kl) {
  ArmReport arm;
  arm.kind = arm.name = name;
  arm.policy = kl > 0 ? "none" : "exact";
  arm.nll = 2.0 + kl;
  arm.kl = kl;
  arm.decode_tokens_per_s = 20;
  arm.prefill_tokens_per_s = 100;
  return arm;
}

EvalReport make_report() {
  EvalReport report;
  report.model = "m<o>del";
  report.weights = "f16";
  report.phase = "decode";
  report.mode = "kv4";
  report.arms = {arm_of("fp16", 0), arm_of("fp4_all", 0.2), arm_of("fp4", 0.05),
                 arm_of("thrift", 0.001)};
  compare_arms(report.arms);
  return report;
}

TEST(Report, RecoveriesAreAgainstBothBaselines) {
  const EvalReport report = make_report();
  const ArmReport& thrift = report.arms[3];
  EXPECT_NEAR(thrift.recovery.value(), 0.98, 1e-12);
  EXPECT_NEAR(thrift.recovery_all.value(), 0.995, 1e-12);
  EXPECT_NEAR(thrift.delta_nll, 0.001, 1e-12);
  EXPECT_FALSE(report.arms[0].recovery.has_value());
  EXPECT_NEAR(report.arms[2].recovery.value(), 0.0, 1e-12);
}

TEST(Report, NoBaselineNoRecovery) {
  std::vector<ArmReport> arms = {arm_of("fp16", 0), arm_of("thrift", 0.001)};
  compare_arms(arms);
  EXPECT_FALSE(arms[1].recovery.has_value());
  EXPECT_FALSE(arms[1].recovery_all.has_value());
}

TEST(Report, JsonHasTheDocumentedKeys) {
  const Json json = Json::parse(to_json(make_report()));
  for (const char* key :
       {"model", "weights", "text", "ctx", "kl_from", "phase", "mode", "threads", "cpu", "arms"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  ASSERT_EQ(json["arms"].size(), 4u);
  for (const char* key :
       {"name", "policy", "budget", "tau", "nll", "delta_nll", "kl", "kl_p99", "top1", "recovery",
        "recovery_all", "decode_tokens_per_s", "prefill_tokens_per_s", "attention_share",
        "kv_bits_per_element", "promoted_share", "forced_share", "tail_share"}) {
    EXPECT_TRUE(json["arms"][0].contains(key)) << key;
  }
  EXPECT_TRUE(json["arms"][0]["recovery"].is_null());
  EXPECT_EQ(json["arms"][0]["kv_bits_per_element"], 16.0);
}

TEST(Report, NumbersThatAreNoneBecomeNull) {
  EvalReport report = make_report();
  report.arms[1].kl = NAN;
  EXPECT_TRUE(Json::parse(to_json(report))["arms"][1]["kl"].is_null());
}

TEST(Report, PageIsSelfContained) {
  const std::string page = to_html(make_report());
  for (const char* loads : {"http", "<script", "<link", "<img", "@import", "url("}) {
    EXPECT_EQ(page.find(loads), std::string::npos) << loads;
  }
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_NE(page.find("m&lt;o&gt;del"), std::string::npos);
  EXPECT_EQ(page.find("m<o>del"), std::string::npos);
}

TEST(Report, PageOfOneArmHasNoInfiniteBar) {
  EvalReport report = make_report();
  report.arms.resize(1);
  const std::string page = to_html(report);
  EXPECT_EQ(page.find("nan"), std::string::npos);
  EXPECT_EQ(page.find("inf"), std::string::npos);
}

TEST(Report, SummaryOfAnArm) {
  Arm arm;
  arm.name = "a";
  ArmResult result;
  result.quality.nll = {1, 3};
  result.quality.kl = {0.1, 0.3};
  result.quality.same_top = 1;
  result.text = {.tokens = 100, .seconds = 2, .attention_seconds = 1, .report = {}};
  result.steps = {.tokens = 4, .seconds = 1, .attention_seconds = 0.25, .report = {}};
  result.steps.report.blocks = 10;
  result.steps.report.bytes_low = 10 * 2 * 64 * 32 / 2;  // 4 bits an element
  result.step_seconds = {0.25, 0.2, 0.25, 0.3};
  const ArmReport report = summarise_arm(arm, result, Phase::kDecode, 32);
  EXPECT_DOUBLE_EQ(report.nll, 2.0);
  EXPECT_DOUBLE_EQ(report.kl, 0.2);
  EXPECT_DOUBLE_EQ(report.top1, 0.5);
  EXPECT_DOUBLE_EQ(report.prefill_tokens_per_s, 50.0);
  EXPECT_DOUBLE_EQ(report.decode_tokens_per_s.value(), 4.0);
  EXPECT_DOUBLE_EQ(report.attention_share, 0.25);
  EXPECT_DOUBLE_EQ(report.kv_bits_per_element, 4.0);
  const ArmReport prefill = summarise_arm(arm, result, Phase::kPrefill, 32);
  EXPECT_DOUBLE_EQ(prefill.attention_share, 0.5);
}

}  // namespace
}  // namespace thriftattn::cli
