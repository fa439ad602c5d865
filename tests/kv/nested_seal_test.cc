// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The residual that sealing stores for a nested high tier, read back by the oracle's decoder.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kv/block_values.h"
#include "numeric/nvfp4.h"
#include "oracle/formats_f64.h"

namespace thriftattn {
namespace {

using testing::BlockRows;

constexpr int kHeadDims[] = {32, 48, 128, 256};

// Element (i, lane) of a panel's input, in the units of its codes.
using Element = std::function<double(int i, int lane)>;

// Each residual group is NVFP4 of 4 (x - low), where both are in the units of the low tier's codes.
// The difference is exact, in double as in fp32.
void expect_residual(const Nvfp4Panel& low, const Nvfp4Panel& residual, ScaleRule rule,
                     const Element& x) {
  ASSERT_EQ(residual.contraction, low.contraction);
  ASSERT_EQ(residual.lanes, low.lanes);
  for (int lane = 0; lane < low.lanes; ++lane) {
    for (int begin = 0; begin < low.contraction; begin += kScaleGroup) {
      float left[kScaleGroup];
      for (int i = 0; i < kScaleGroup; ++i) {
        const double difference = x(begin + i, lane) - oracle::panel_element(low, begin + i, lane);
        left[i] = static_cast<float>(4 * difference);
        ASSERT_EQ(left[i], 4 * difference);
      }
      numeric::fake_quantize(left, kScaleGroup, rule, 0, left);
      for (int i = 0; i < kScaleGroup; ++i) {
        ASSERT_EQ(oracle::panel_element(residual, begin + i, lane), left[i])
            << begin + i << " " << lane;
      }
      const std::uint8_t scale = residual.scales[begin / kScaleGroup * low.lanes + lane];
      ASSERT_GE(scale, 0x08) << "decoders know normal scales only";
      ASSERT_LE(scale, 0x7e);
    }
  }
}

struct Sealed {
  Sealed(int head_dim, const Numerics& numerics, HighTier high_tier)
      : k(BlockRows::gaussian(head_dim, 1, 1.0f, 3.0f)),
        v(BlockRows::gaussian(head_dim, 2)),
        store(testing::make_store(head_dim, numerics, 1, true, high_tier)) {
    // Tokens of very different size, as real V have.
    for (int d = 0; d < head_dim; ++d) v.set(1, 17, d, 300.0f * static_cast<float>(d % 5 - 2));
    EXPECT_TRUE(store.seal(0, k.views(), v.views()).ok());
    EXPECT_EQ(store.state(0), BlockStore::State::kSealed);
  }
  BlockRows k;
  BlockRows v;
  BlockStore store;
};

TEST(NestedSeal, ResidualsAreWhatTheLowTierLeaves) {
  for (const int head_dim : kHeadDims) {
    for (const Numerics& numerics : testing::all_numerics()) {
      const Sealed sealed(head_dim, numerics, HighTier::kNested);
      for (int head = 0; head < testing::kTestKvHeads; ++head) {
        const LowTile low = sealed.store.tile(0, head);
        const ResidualTile residual = sealed.store.residual(0, head);
        EXPECT_EQ(residual.k_exponent, low.k_exponent - 2);
        expect_residual(low.k, residual.k, numerics.scale_rule, [&](int d, int token) {
          const auto mean = static_cast<float>(oracle::decode_half(low.k_mean[d].bits));
          const float centred = static_cast<float>(sealed.k.value(head, token, d)) - mean;
          return std::ldexp(static_cast<double>(centred), -low.k_exponent);
        });
        expect_residual(low.v, residual.v, numerics.scale_rule, [&](int token, int d) {
          return std::ldexp(sealed.v.value(head, token, d), 127 - low.v_exponents[token]);
        });
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

// The low tier, summary included, is that of a store that keeps no residual.
TEST(NestedSeal, TheLowTierDoesNotChange) {
  for (const int head_dim : kHeadDims) {
    for (const Numerics& numerics : testing::all_numerics()) {
      const Sealed nested(head_dim, numerics, HighTier::kNested);
      const Sealed rows(head_dim, numerics, HighTier::kRows16);
      for (int head = 0; head < testing::kTestKvHeads; ++head) {
        EXPECT_EQ(testing::stored_bytes(nested.store, 0, head, true),
                  testing::stored_bytes(rows.store, 0, head));
        EXPECT_EQ(rows.store.summary(0, head).nested_error_k, 0);
        EXPECT_EQ(rows.store.summary(0, head).nested_error_v, 0);
      }
    }
  }
}

// Largest norm over tokens of exact - low - residual.
double largest_error(const std::vector<double>& exact, const std::vector<double>& low,
                     const std::vector<double>& residual, int head_dim) {
  std::vector<double> nested = low;
  for (std::size_t i = 0; i < nested.size(); ++i) nested[i] += residual[i];
  double largest = 0;
  for (int token = 0; token < kBlockTokens; ++token) {
    largest = std::max(largest, testing::distance(exact, nested, token, head_dim));
  }
  return largest;
}

void expect_rounded_up(float stored, double value) {
  EXPECT_GE(stored, value * (1 - 1e-12));
  const double before = std::nextafter(stored, -std::numeric_limits<float>::infinity());
  EXPECT_LE(before, value * (1 + 1e-12));
}

TEST(NestedSeal, SummariesHoldTheErrorThatIsLeft) {
  for (const int head_dim : kHeadDims) {
    for (const Numerics& numerics : testing::all_numerics()) {
      const Sealed sealed(head_dim, numerics, HighTier::kNested);
      for (int head = 0; head < testing::kTestKvHeads; ++head) {
        const LowTile low = sealed.store.tile(0, head);
        const ResidualTile residual = sealed.store.residual(0, head);
        const BlockSummary summary = sealed.store.summary(0, head);
        const double error_k =
            largest_error(testing::to_doubles(sealed.k, head), oracle::decode_low_k(low),
                          oracle::decode_residual_k(residual), head_dim);
        const double error_v =
            largest_error(testing::to_doubles(sealed.v, head), oracle::decode_low_v(low),
                          oracle::decode_residual_v(residual, low), head_dim);
        expect_rounded_up(summary.nested_error_k, error_k);
        expect_rounded_up(summary.nested_error_v, error_v);
        // Four more bits: a group is off by at most .18 of the largest residual of its 16,
        // typically by far less.
        EXPECT_LT(error_k, summary.error_k / 5);
        EXPECT_LT(error_v, summary.error_v / 5);
      }
    }
  }
}

TEST(NestedSeal, SizesAreThoseOfTheDesign) {
  const BlockStore nested = testing::make_store(128, {}, 10, false, HighTier::kNested);
  const BlockStore rows = testing::make_store(128, {}, 10);
  EXPECT_EQ(nested.residual_bytes(), 4096 + 512);
  EXPECT_EQ(rows.residual_bytes(), 0);
  EXPECT_EQ(nested.tile_bytes(), rows.tile_bytes());
  EXPECT_EQ(nested.memory_bytes() - rows.memory_bytes(),
            10 * testing::kTestKvHeads * 2 * nested.residual_bytes());
  const double bits = 8.0 * static_cast<double>(nested.tile_bytes() + 2 * nested.residual_bytes()) /
                      (2 * kBlockTokens * 128);
  EXPECT_LT(bits, 9.2);
}

TEST(NestedSeal, PartsStartOnACacheLineAndDoNotOverlap) {
  for (const int head_dim : kHeadDims) {
    const BlockRows rows = BlockRows::gaussian(head_dim, 1);
    const BlockRows others = BlockRows::gaussian(head_dim, 9, 50);
    BlockStore store = testing::make_store(head_dim, {}, 3, true, HighTier::kNested);
    ASSERT_TRUE(store.seal(1, rows.views(), rows.views()).ok());
    const ResidualTile residual = store.residual(1, 1);
    for (const Nvfp4Panel& panel : {residual.k, residual.v}) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(panel.codes) % 64, 0);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(panel.scales) % 64, 0);
    }
    const auto head_0 = testing::stored_bytes(store, 1, 0);
    const auto head_1 = testing::stored_bytes(store, 1, 1);
    ASSERT_TRUE(store.seal(0, others.views(), others.views()).ok());
    ASSERT_TRUE(store.seal(2, others.views(), others.views()).ok());
    EXPECT_EQ(testing::stored_bytes(store, 1, 0), head_0);
    EXPECT_EQ(testing::stored_bytes(store, 1, 1), head_1);
  }
}

TEST(NestedSeal, AnUnknownHighTierIsRefused) {
  const Status status =
      BlockStore::create(
          {.kv_heads = 1, .head_dim = 64, .blocks = 1, .high_tier = static_cast<HighTier>(7)})
          .status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("high_tier 7"), std::string::npos);
}

}  // namespace
}  // namespace thriftattn
