// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Inputs at the edges of what half can hold, masked tokens and non-finite values.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kv/block_values.h"
#include "oracle/formats_f64.h"

namespace thriftattn {
namespace {

using testing::BlockRows;
using testing::kTestKvHeads;

constexpr int kHeadDim = 48;

void expect_nested(const std::vector<double>& low, const std::vector<double>& residual,
                   const std::vector<double>& exact, float error) {
  ASSERT_TRUE(std::isfinite(error));
  std::vector<double> nested = low;
  for (std::size_t i = 0; i < low.size(); ++i) nested[i] += residual[i];
  for (const double x : nested) ASSERT_TRUE(std::isfinite(x));
  for (int token = 0; token < kBlockTokens; ++token) {
    ASSERT_LE(testing::distance(exact, nested, token, kHeadDim), error) << token;
  }
}

// Everything finite, errors as the summary says, and relative to the size of the rows no larger
// than 4-bit codes may leave: half a step of the coarsest codes is a sixth of the group's largest
// value.
void expect_sound(const BlockStore& store, const BlockRows& k, const BlockRows& v) {
  ASSERT_EQ(store.state(0), BlockStore::State::kSealed);
  for (int head = 0; head < kTestKvHeads; ++head) {
    const LowTile tile = store.tile(0, head);
    const BlockSummary summary = store.summary(0, head);
    const std::vector<double> low_k = oracle::decode_low_k(tile);
    const std::vector<double> low_v = oracle::decode_low_v(tile);
    const std::vector<double> exact_k = testing::to_doubles(k, head);
    const std::vector<double> exact_v = testing::to_doubles(v, head);
    for (const float x : {summary.error_k, summary.error_v, summary.max_k, summary.max_v}) {
      ASSERT_TRUE(std::isfinite(x));
    }
    for (const double x : low_k) ASSERT_TRUE(std::isfinite(x));
    for (const double x : low_v) ASSERT_TRUE(std::isfinite(x));
    for (int token = 0; token < kBlockTokens; ++token) {
      ASSERT_LE(testing::distance(exact_k, low_k, token, kHeadDim), summary.error_k) << token;
      ASSERT_LE(testing::distance(exact_v, low_v, token, kHeadDim), summary.error_v) << token;
      const int exponent = tile.v_exponents[token];
      ASSERT_GE(exponent, 1) << "2^e must be a normal float";
      ASSERT_LE(exponent, 253) << "2^-e must be a normal float";
    }
    if (store.config().high_tier == HighTier::kNested) {
      const ResidualTile residual = store.residual(0, head);
      expect_nested(low_k, oracle::decode_residual_k(residual), exact_k, summary.nested_error_k);
      expect_nested(low_v, oracle::decode_residual_v(residual, tile), exact_v,
                    summary.nested_error_v);
    }
    ASSERT_LE(summary.error_v, .3 * summary.max_v);
  }
}

struct Extreme {
  const char* name;
  BlockRows::Value value;
};

const Extreme kExtremes[] = {
    {"zeros", [](int, int, int) { return 0.0f; }},
    {"negative_zeros", [](int, int, int) { return -0.0f; }},
    {"smallest_subnormal", [](int, int, int) { return 0x1p-24f; }},
    {"tiny", [](int, int t, int d) { return 1e-7f * static_cast<float>((t + d) % 3); }},
    {"largest", [](int, int, int) { return 65504.0f; }},
    {"largest_of_both_signs", [](int, int t, int d) { return (t + d) % 2 ? 65504.0f : -65504.0f; }},
    {"one_huge_channel", [](int, int t, int d) { return d == 7 ? 60000.0f : .01f * float(t % 5); }},
    {"one_huge_token", [](int, int t, int d) { return t == 9 ? 65504.0f : 1e-4f * float(d % 7); }},
    {"one_value", [](int, int t, int d) { return t == 63 && d == 47 ? 1.5f : 0.0f; }},
    {"zero_rows", [](int, int t, int d) { return t % 2 ? 0.0f : float(d - 20); }},
    {"tiny_and_huge_rows", [](int, int t, int) { return t % 2 ? 0x1p-24f : -65504.0f; }},
    {"all_magnitudes",
     [](int, int t, int d) { return std::ldexp(d % 2 ? 1.f : -1.f, t % 40 - 24); }},
};

TEST(SealExtremes, EncodeWithoutNanOrInfinityWithinTheirErrors) {
  for (const Extreme& extreme : kExtremes) {
    for (const Numerics& numerics : testing::all_numerics()) {
      for (const HighTier high_tier : {HighTier::kRows16, HighTier::kNested}) {
        SCOPED_TRACE(extreme.name);
        const BlockRows rows(kHeadDim, extreme.value);
        BlockStore store = testing::make_store(kHeadDim, numerics, 1, false, high_tier);
        ASSERT_TRUE(store.seal(0, rows.views(), rows.views()).ok());
        expect_sound(store, rows, rows);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(SealExtremes, AHugeTokenDoesNotHurtItsNeighboursValues) {
  const BlockRows k = BlockRows::gaussian(kHeadDim, 1);
  BlockRows v = BlockRows::gaussian(kHeadDim, 2);
  for (int d = 0; d < kHeadDim; ++d) v.set(0, 20, d, 20000.0f * (d % 2 ? 1.0f : -1.0f));
  BlockStore store = testing::make_store(kHeadDim);
  ASSERT_TRUE(store.seal(0, k.views(), v.views()).ok());
  const std::vector<double> low = oracle::decode_low_v(store.tile(0, 0));
  const std::vector<double> exact = testing::to_doubles(v, 0);
  for (int token = 16; token < 32; ++token) {
    if (token == 20) continue;
    EXPECT_LT(testing::distance(exact, low, token, kHeadDim), .25 * std::sqrt(kHeadDim)) << token;
  }
}

TEST(SealMask, TokensOutsideAreNeverReadAndCountAsNothing) {
  constexpr std::uint64_t kValid = 0x00ff'0001'8000'00f5;
  for (const Numerics& numerics : testing::all_numerics()) {
    BlockRows k = BlockRows::gaussian(kHeadDim, 1, 1, 5);
    BlockRows v = BlockRows::gaussian(kHeadDim, 2);
    BlockRows other_k = k;
    BlockRows other_v = v;
    for (int token = 0; token < kBlockTokens; ++token) {
      if (((kValid >> token) & 1) != 0) continue;
      k.poison(token);
      v.poison(token);
      for (int head = 0; head < kTestKvHeads; ++head) {
        for (int d = 0; d < kHeadDim; ++d) {
          other_k.set(head, token, d, 1000);
          other_v.set(head, token, d, -1000);
        }
      }
    }
    BlockStore store = testing::make_store(kHeadDim, numerics, 2, true, HighTier::kNested);
    ASSERT_TRUE(store.seal(0, k.views(), v.views(), kValid).ok());
    ASSERT_TRUE(store.seal(1, other_k.views(), other_v.views(), kValid).ok());
    ASSERT_EQ(store.state(0), BlockStore::State::kSealed);
    for (int head = 0; head < kTestKvHeads; ++head) {
      EXPECT_EQ(testing::stored_bytes(store, 0, head), testing::stored_bytes(store, 1, head));
      const LowTile tile = store.tile(0, head);
      const BlockSummary summary = store.summary(0, head);
      const std::vector<double> low_v = oracle::decode_low_v(tile);
      const std::vector<double> low_k = oracle::decode_low_k(tile);
      const ResidualTile residual = store.residual(0, head);
      const std::vector<double> residual_k = oracle::decode_residual_k(residual);
      const std::vector<double> residual_v = oracle::decode_residual_v(residual, tile);
      for (int d = 0; d < kHeadDim; ++d) {
        double mean = 0;
        for (int token = 0; token < kBlockTokens; ++token) {
          if (((kValid >> token) & 1) != 0) {
            mean += k.value(head, token, d) / std::popcount(kValid);
          } else {
            EXPECT_EQ(low_v[token * kHeadDim + d], 0);
            EXPECT_EQ(residual_v[token * kHeadDim + d], 0);
            EXPECT_EQ(residual_k[token * kHeadDim + d], 0);
            EXPECT_EQ(low_k[token * kHeadDim + d], oracle::decode_half(tile.k_mean[d].bits));
          }
        }
        EXPECT_EQ(summary.block_mean[d].bits, oracle::encode_half(static_cast<float>(mean)));
      }
    }
  }
}

TEST(SealMask, TheExponentFollowsValidResidualsOnly) {
  const BlockRows k = BlockRows::gaussian(kHeadDim, 1, 1, 1000);
  BlockStore store = testing::make_store(kHeadDim, {}, 2);
  ASSERT_TRUE(store.seal(0, k.views(), k.views()).ok());
  ASSERT_TRUE(store.seal(1, k.views(), k.views(), testing::kAllTokens / 3).ok());
  EXPECT_LE(store.tile(1, 0).k_exponent, store.tile(0, 0).k_exponent + 1);
}

TEST(SealMask, AnEmptyBlockNeedsNoMemory) {
  BlockStore store = testing::make_store(kHeadDim, {}, 1, true);
  const std::vector<RowsView> none(kTestKvHeads);
  ASSERT_TRUE(store.seal(0, none, none, 0).ok());
  ASSERT_EQ(store.state(0), BlockStore::State::kSealed);
  const BlockSummary summary = store.summary(0, 1);
  EXPECT_EQ(summary.error_k + summary.error_v + summary.max_k + summary.max_v, 0);
  for (int d = 0; d < kHeadDim; ++d) {
    EXPECT_EQ(summary.block_mean[d].bits, 0);
    EXPECT_EQ(summary.min_k[d], 0);
    EXPECT_EQ(summary.max_k_channel[d], 0);
  }
}

TEST(SealPinned, AnyNonFiniteValidValuePinsTheBlock) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {infinity, -infinity, std::nanf("")}) {
    for (const bool in_k : {true, false}) {
      BlockRows k = BlockRows::gaussian(kHeadDim, 1);
      BlockRows v = BlockRows::gaussian(kHeadDim, 2);
      BlockStore store = testing::make_store(kHeadDim);
      ASSERT_TRUE(store.seal(0, k.views(), v.views()).ok());
      const float before = static_cast<float>((in_k ? k : v).value(1, 63, 47));
      (in_k ? k : v).set(1, 63, 47, bad);
      EXPECT_TRUE(store.seal(0, k.views(), v.views()).ok());
      EXPECT_EQ(store.state(0), BlockStore::State::kPinned);
      // The same value behind a mask is nobody's business.
      EXPECT_TRUE(store.seal(0, k.views(), v.views(), testing::kAllTokens >> 1).ok());
      EXPECT_EQ(store.state(0), BlockStore::State::kSealed);
      (in_k ? k : v).set(1, 63, 47, before);
      EXPECT_TRUE(store.seal(0, k.views(), v.views()).ok());
      EXPECT_EQ(store.state(0), BlockStore::State::kSealed);
    }
  }
}

// Rows wider than half, through a decoder: fp32 up to 2^120 is sealed, beyond it is pinned.
TEST(SealDecoder, WideValuesStayFiniteOrPin) {
  const RowDecoder copy = [](const void* row, float* out, std::int64_t n) {
    std::memcpy(out, row, sizeof(float) * static_cast<std::size_t>(n));
  };
  for (const Numerics& numerics : testing::all_numerics()) {
    for (const float size : {1e-37f, 1e-20f, 1e10f, 1e30f, 0x1p120f}) {
      std::vector<float> rows(kBlockTokens * kHeadDim, size);
      rows[5] = -size;
      rows[100] = 0;
      const std::vector<RowsView> views(kTestKvHeads,
                                        {rows.data(), sizeof(float) * kHeadDim, copy});
      BlockStore store = testing::make_store(kHeadDim, numerics);
      ASSERT_TRUE(store.seal(0, views, views).ok());
      ASSERT_EQ(store.state(0), BlockStore::State::kSealed);
      const LowTile tile = store.tile(0, 0);
      for (const double x : oracle::decode_low_k(tile)) {
        ASSERT_LE(std::fabs(x), std::numeric_limits<float>::max());
      }
      for (const double x : oracle::decode_low_v(tile)) {
        ASSERT_LE(std::fabs(x), std::numeric_limits<float>::max());
      }
      rows[7] = 0x1p121f;
      ASSERT_TRUE(store.seal(0, views, views).ok());
      EXPECT_EQ(store.state(0), BlockStore::State::kPinned);
    }
  }
}

}  // namespace
}  // namespace thriftattn
