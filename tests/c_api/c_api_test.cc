// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The C API against the C++ API, and what it says to bad input.
#include "thriftattn/c_api.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "thriftattn/attention.h"

namespace thriftattn {
namespace {

constexpr int kQHeads = 4;
constexpr int kKvHeads = 2;
constexpr int kHeadDim = 32;
constexpr std::int64_t kTokens = 700;

std::vector<float> ramp(std::int64_t n, unsigned state) {
  std::vector<float> x(n);
  for (float& value : x) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / static_cast<float>(1 << 22) - 2.0f;
  }
  return x;
}

template <class T>
T c_view(decltype(T::data) data, std::int64_t tokens, std::int64_t heads) {
  return {data, THRIFTATTN_F32, tokens, heads, kHeadDim, 0, 0};
}

thriftattn_cache_config config() {
  thriftattn_cache_config c;
  thriftattn_cache_config_default(&c, sizeof c);
  c.kv_heads = kKvHeads;
  c.head_dim = kHeadDim;
  c.pages = 16;
  return c;
}

class CApi : public testing::Test {
 protected:
  void SetUp() override {
    const thriftattn_cache_config c = config();
    ASSERT_EQ(thriftattn_cache_create(&c, &cache_), THRIFTATTN_OK) << thriftattn_status_message();
    ASSERT_EQ(thriftattn_cache_add_sequence(cache_, &sequence_), THRIFTATTN_OK);
    const auto k = c_view<thriftattn_const_tensor>(k_.data(), kTokens, kKvHeads);
    const auto v = c_view<thriftattn_const_tensor>(v_.data(), kTokens, kKvHeads);
    const std::int64_t offsets[] = {0, kTokens};
    ASSERT_EQ(thriftattn_cache_append(cache_, &sequence_, 1, offsets, &k, &v), THRIFTATTN_OK)
        << thriftattn_status_message();
    thriftattn_attend_params_default(&params_, sizeof params_);
    params_.q = c_view<thriftattn_const_tensor>(q_.data(), 1, kQHeads);
    params_.out = c_view<thriftattn_tensor>(out_.data(), 1, kQHeads);
    params_.sequences = &sequence_;
    params_.q_offsets = q_offsets_;
    params_.sequence_count = 1;
  }
  void TearDown() override { thriftattn_cache_free(cache_); }

  // The call fails with `status`, its message holds every word of `words`, and nothing was written.
  void expect_refused(thriftattn_status status, const std::vector<std::string>& words) {
    const std::vector<float> before = out_;
    EXPECT_EQ(thriftattn_attend(cache_, &params_), status);
    const std::string message = thriftattn_status_message();
    for (const std::string& word : words) {
      EXPECT_NE(message.find(word), std::string::npos) << message << " lacks " << word;
    }
    EXPECT_EQ(out_, before);
  }

  const std::vector<float> q_ = ramp(kQHeads * kHeadDim, 1);
  const std::vector<float> k_ = ramp(kTokens * kKvHeads * kHeadDim, 2);
  const std::vector<float> v_ = ramp(kTokens * kKvHeads * kHeadDim, 3);
  std::vector<float> out_ = std::vector<float>(kQHeads * kHeadDim, 7.0f);
  const std::int64_t q_offsets_[2] = {0, 1};
  thriftattn_cache* cache_ = nullptr;
  std::int32_t sequence_ = -1;
  thriftattn_attend_params params_;
};

TEST_F(CApi, SameBitsAndReportAsCpp) {
  thriftattn_report report;
  thriftattn_report_default(&report, sizeof report);
  params_.report = &report;
  ASSERT_EQ(thriftattn_attend(cache_, &params_), THRIFTATTN_OK) << thriftattn_status_message();

  auto cache = PagedKvCache::create({.kv_heads = kKvHeads, .head_dim = kHeadDim, .pages = 16});
  ASSERT_TRUE(cache.ok());
  const SequenceId sequence = cache.value().add_sequence().value();
  const auto view = [](const std::vector<float>& x, std::int64_t tokens, std::int64_t heads) {
    return ConstTensorView::packed(x.data(), DType::kF32, tokens, heads, kHeadDim);
  };
  ASSERT_TRUE(cache.value()
                  .append(sequence, view(k_, kTokens, kKvHeads), view(v_, kTokens, kKvHeads))
                  .ok());
  std::vector<float> want(out_.size());
  AttendReport want_report;
  AttendParams params;
  params.q = view(q_, 1, kQHeads);
  params.out = TensorView::packed(want.data(), DType::kF32, 1, kQHeads, kHeadDim);
  params.sequences = {&sequence, 1};
  params.q_offsets = q_offsets_;
  params.report = &want_report;
  ASSERT_TRUE(attend(params, cache.value()).ok());

  EXPECT_EQ(std::memcmp(out_.data(), want.data(), want.size() * sizeof(float)), 0);
  EXPECT_EQ(report.blocks, want_report.blocks);
  EXPECT_EQ(report.forced, want_report.forced);
  EXPECT_EQ(report.promoted_k, want_report.promoted_k);
  EXPECT_EQ(report.promoted_v, want_report.promoted_v);
  EXPECT_EQ(report.tail, want_report.tail);
  EXPECT_EQ(report.bytes_low, want_report.bytes_low);
  EXPECT_EQ(report.bytes_high, want_report.bytes_high);
  EXPECT_EQ(report.mass_covered, want_report.mass_covered);
  EXPECT_GT(report.promoted_k, 0);

  ASSERT_EQ(thriftattn_attend(cache_, &params_), THRIFTATTN_OK);
  EXPECT_EQ(report.blocks, 2 * want_report.blocks) << "reports add up";
}

TEST_F(CApi, DefaultsAreThoseOfCpp) {
  const Selection selection;
  thriftattn_selection c;
  thriftattn_selection_default(&c, sizeof c);
  EXPECT_EQ(c.policy, static_cast<int>(selection.policy));
  EXPECT_EQ(c.budget_kind, static_cast<int>(selection.budget.kind));
  EXPECT_EQ(c.budget, selection.budget.value);
  EXPECT_EQ(c.k_share, selection.budget.k_share);
  EXPECT_EQ(c.v_share, selection.budget.v_share);
  EXPECT_EQ(c.tau, selection.tau);
  EXPECT_EQ(c.force_sink, selection.force_sink);
  EXPECT_EQ(c.force_own, selection.force_own);
  thriftattn_selection_exact(&c, sizeof c);
  EXPECT_EQ(c.budget_kind, THRIFTATTN_BUDGET_ALL);
  EXPECT_EQ(c.tau, 0);
  EXPECT_EQ(params_.split_blocks, AttendOptions{}.split_blocks);
}

TEST_F(CApi, EnumsAreThoseOfCpp) {
  EXPECT_EQ(THRIFTATTN_POLICY_RANDOM, static_cast<int>(Policy::kRandom));
  EXPECT_EQ(THRIFTATTN_BUDGET_ALL, static_cast<int>(Budget::Kind::kAll));
  EXPECT_EQ(THRIFTATTN_UNIT_TILE, static_cast<int>(SelectionUnit::kTile));
  EXPECT_EQ(THRIFTATTN_MODE_W4A4, static_cast<int>(ComputeMode::kW4a4));
  EXPECT_EQ(THRIFTATTN_SCALE_NEAREST, static_cast<int>(ScaleRule::kNearest));
  EXPECT_EQ(THRIFTATTN_BF16, static_cast<int>(DType::kBF16));
  EXPECT_EQ(THRIFTATTN_INTERNAL, static_cast<int>(StatusCode::kInternal));
}

TEST_F(CApi, RefusesEnumsOutOfRange) {
  params_.mode = 256;  // would be kv4 after a cast to the C++ type
  expect_refused(THRIFTATTN_INVALID_ARGUMENT, {"mode", "256", "0 to 1"});
  params_.mode = 0;
  params_.q.dtype = -1;
  expect_refused(THRIFTATTN_INVALID_ARGUMENT, {"q.dtype", "-1", "0 to 2"});
  params_.q.dtype = 0;
  thriftattn_selection selection;
  thriftattn_selection_default(&selection, sizeof selection);
  params_.selection = &selection;
  selection.policy = 5;
  expect_refused(THRIFTATTN_INVALID_ARGUMENT, {"selection.policy", "5", "0 to 4"});
}

TEST_F(CApi, RefusesWhatCppRefuses) {
  thriftattn_selection selection;
  thriftattn_selection_default(&selection, sizeof selection);
  params_.selection = &selection;
  selection.tau = 1.5;
  expect_refused(THRIFTATTN_INVALID_ARGUMENT, {"tau", "1.5"});
  selection.tau = 0;
  selection.policy = THRIFTATTN_POLICY_QUEST;
  expect_refused(THRIFTATTN_UNSUPPORTED, {"quest", "channel_bounds"});
  params_.selection = nullptr;
  params_.q.heads = 3;
  params_.q.token_stride = params_.q.head_stride = 0;
  expect_refused(THRIFTATTN_INVALID_ARGUMENT, {"3"});
}

TEST_F(CApi, RefusesNullAndWrongSizes) {
  EXPECT_EQ(thriftattn_attend(nullptr, &params_), THRIFTATTN_INVALID_ARGUMENT);
  EXPECT_EQ(thriftattn_attend(cache_, nullptr), THRIFTATTN_INVALID_ARGUMENT);
  thriftattn_cache* none = cache_;
  EXPECT_EQ(thriftattn_cache_create(nullptr, &none), THRIFTATTN_INVALID_ARGUMENT);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(thriftattn_cache_add_sequence(nullptr, &sequence_), THRIFTATTN_INVALID_ARGUMENT);
  thriftattn_cache_free(nullptr);
  thriftattn_thread_pool_free(nullptr);
  thriftattn_thread_pool* pool = nullptr;
  EXPECT_EQ(thriftattn_thread_pool_create(-1, &pool), THRIFTATTN_INVALID_ARGUMENT);
  EXPECT_EQ(pool, nullptr);
}

TEST_F(CApi, RefusesNullInACall) {
  params_.q_offsets = nullptr;
  expect_refused(THRIFTATTN_INVALID_ARGUMENT, {"offsets"});
  params_.q_offsets = q_offsets_;
  params_.sequence_count = -1;
  expect_refused(THRIFTATTN_INVALID_ARGUMENT, {"sequence_count", "-1"});
  params_.sequence_count = 1;
  params_.struct_size = 8;
  expect_refused(THRIFTATTN_INVALID_ARGUMENT, {"struct_size", "8"});
  params_.struct_size = sizeof params_ + 8;
  expect_refused(THRIFTATTN_INVALID_ARGUMENT, {"struct_size"});
}

TEST_F(CApi, ShortStructIsNotOverrun) {
  alignas(thriftattn_selection) unsigned char bytes[sizeof(thriftattn_selection) + 8];
  std::memset(bytes, 0xaa, sizeof bytes);
  constexpr std::size_t kShort = 16;
  thriftattn_selection_default(reinterpret_cast<thriftattn_selection*>(bytes), kShort);
  for (std::size_t i = kShort; i < sizeof bytes; ++i) EXPECT_EQ(bytes[i], 0xaa) << i;
}

TEST_F(CApi, BadConfigsSayWhatIsSupported) {
  thriftattn_cache* cache = nullptr;
  thriftattn_cache_config c = config();
  c.head_dim = 40;
  EXPECT_EQ(thriftattn_cache_create(&c, &cache), THRIFTATTN_INVALID_ARGUMENT);
  EXPECT_NE(std::string(thriftattn_status_message()).find("40"), std::string::npos);
  c = config();
  c.scale_rule = 2;
  EXPECT_EQ(thriftattn_cache_create(&c, &cache), THRIFTATTN_INVALID_ARGUMENT);
  c = config();
  c.high_tier = 2;
  EXPECT_EQ(thriftattn_cache_create(&c, &cache), THRIFTATTN_INVALID_ARGUMENT);
  EXPECT_NE(std::string(thriftattn_status_message()).find("high_tier 2"), std::string::npos);
  c = config();
  c.pages = -1;
  EXPECT_EQ(thriftattn_cache_create(&c, &cache), THRIFTATTN_INVALID_ARGUMENT);
  EXPECT_EQ(cache, nullptr);
}

// A program built against the first header has no high_tier behind its struct.
TEST_F(CApi, AnOlderConfigKeepsItsRows) {
  constexpr std::size_t kOld = offsetof(thriftattn_cache_config, high_tier);
  thriftattn_cache_config c = config();
  c.struct_size = kOld;
  c.high_tier = 12345;
  thriftattn_cache* cache = nullptr;
  ASSERT_EQ(thriftattn_cache_create(&c, &cache), THRIFTATTN_OK) << thriftattn_status_message();
  std::int64_t bytes = 0;
  std::int64_t want = 0;
  EXPECT_EQ(thriftattn_cache_memory_bytes(cache, &bytes), THRIFTATTN_OK);
  EXPECT_EQ(thriftattn_cache_memory_bytes(cache_, &want), THRIFTATTN_OK);
  EXPECT_EQ(bytes, want);
  thriftattn_cache_free(cache);
  c.struct_size = kOld - 4;
  EXPECT_EQ(thriftattn_cache_create(&c, &cache), THRIFTATTN_INVALID_ARGUMENT);
}

TEST_F(CApi, ANestedCacheHoldsLessAndAnswersAlike) {
  ASSERT_EQ(thriftattn_attend(cache_, &params_), THRIFTATTN_OK) << thriftattn_status_message();
  const std::vector<float> want = out_;
  std::int64_t rows_bytes = 0;
  EXPECT_EQ(thriftattn_cache_memory_bytes(cache_, &rows_bytes), THRIFTATTN_OK);

  thriftattn_cache_config c = config();
  c.high_tier = THRIFTATTN_HIGH_NESTED;
  thriftattn_cache* nested = nullptr;
  std::int32_t sequence = -1;
  ASSERT_EQ(thriftattn_cache_create(&c, &nested), THRIFTATTN_OK) << thriftattn_status_message();
  ASSERT_EQ(thriftattn_cache_add_sequence(nested, &sequence), THRIFTATTN_OK);
  const auto k = c_view<thriftattn_const_tensor>(k_.data(), kTokens, kKvHeads);
  const auto v = c_view<thriftattn_const_tensor>(v_.data(), kTokens, kKvHeads);
  const std::int64_t offsets[] = {0, kTokens};
  ASSERT_EQ(thriftattn_cache_append(nested, &sequence, 1, offsets, &k, &v), THRIFTATTN_OK);
  params_.sequences = &sequence;
  EXPECT_EQ(thriftattn_attend(nested, &params_), THRIFTATTN_OK) << thriftattn_status_message();
  EXPECT_NE(out_, want);
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(out_[i], want[i], .05) << i;
  std::int64_t nested_bytes = 0;
  EXPECT_EQ(thriftattn_cache_memory_bytes(nested, &nested_bytes), THRIFTATTN_OK);
  EXPECT_LT(nested_bytes, rows_bytes);
  thriftattn_cache_free(nested);
}

TEST_F(CApi, MessagesBelongToTheirThread) {
  params_.mode = 9;
  EXPECT_EQ(thriftattn_attend(cache_, &params_), THRIFTATTN_INVALID_ARGUMENT);
  std::string other = "not asked";
  std::thread([&] { other = thriftattn_status_message(); }).join();
  EXPECT_EQ(other, "");
  EXPECT_NE(std::string(thriftattn_status_message()), "");
}

}  // namespace
}  // namespace thriftattn
