// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What sealing stores, read back by the oracle's decoder.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kv/block_values.h"
#include "numeric/nvfp4.h"
#include "oracle/formats_f64.h"

namespace thriftattn {
namespace {

using testing::BlockRows;

struct Case {
  int head_dim;
  Numerics numerics;
};

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  const Numerics& n = info.param.numerics;
  return "d" + std::to_string(info.param.head_dim) +
         (n.scale_rule == ScaleRule::kNearest ? "_nearest" : "_46") +
         (n.centre_k ? "_centred" : "") + (n.token_norms ? "_norms" : "");
}

// Every head_dim with the default numerics, three of them with all others.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (int head_dim = kMinHeadDim; head_dim <= kMaxHeadDim; head_dim += kHeadDimStep) {
    for (const Numerics& numerics : testing::all_numerics()) {
      const bool default_only = head_dim != 32 && head_dim != 80 && head_dim != 256;
      if (!default_only || numerics == Numerics{}) all.push_back({head_dim, numerics});
    }
  }
  return all;
}

class Seal : public ::testing::TestWithParam<Case> {
 protected:
  Seal()
      : head_dim_(GetParam().head_dim),
        k_(BlockRows::gaussian(head_dim_, 1, 1.0f, 3.0f)),
        v_(BlockRows::gaussian(head_dim_, 2)),
        store_(testing::make_store(head_dim_, GetParam().numerics)) {
    EXPECT_TRUE(store_.seal(0, k_.views(), v_.views()).ok());
    EXPECT_EQ(store_.state(0), BlockStore::State::kSealed);
  }

  // 16 values as the definition of the low tier gives them: quantised after 2^-exponent.
  std::vector<float> quantised(std::vector<float> x, int exponent) const {
    numeric::fake_quantize(x.data(), kScaleGroup, GetParam().numerics.scale_rule, exponent,
                           x.data());
    return x;
  }

  int head_dim_;
  BlockRows k_;
  BlockRows v_;
  BlockStore store_;
};

TEST_P(Seal, KeysAreTheirMeanPlusQuantisedResiduals) {
  for (int head = 0; head < testing::kTestKvHeads; ++head) {
    const LowTile tile = store_.tile(0, head);
    const std::vector<double> decoded = oracle::decode_low_k(tile);
    for (int token = 0; token < kBlockTokens; ++token) {
      for (int begin = 0; begin < head_dim_; begin += kScaleGroup) {
        std::vector<float> x;
        for (int d = begin; d < begin + kScaleGroup; ++d) {
          x.push_back(static_cast<float>(k_.value(head, token, d)) -
                      static_cast<float>(oracle::decode_half(tile.k_mean[d].bits)));
        }
        x = quantised(x, tile.k_exponent);
        for (int i = 0; i < kScaleGroup; ++i) {
          const double mean = oracle::decode_half(tile.k_mean[begin + i].bits);
          ASSERT_EQ(decoded[token * head_dim_ + begin + i], mean + x[i])
              << token << " " << begin + i;
        }
      }
    }
  }
}

TEST_P(Seal, ValuesAreQuantisedAlongTokensAfterTheirExponents) {
  for (int head = 0; head < testing::kTestKvHeads; ++head) {
    const LowTile tile = store_.tile(0, head);
    const std::vector<double> decoded = oracle::decode_low_v(tile);
    for (int d = 0; d < head_dim_; ++d) {
      for (int begin = 0; begin < kBlockTokens; begin += kScaleGroup) {
        std::vector<float> x;
        for (int i = 0; i < kScaleGroup; ++i) {
          const int exponent = tile.v_exponents[begin + i] - 127;
          x.push_back(static_cast<float>(std::ldexp(v_.value(head, begin + i, d), -exponent)));
        }
        x = quantised(x, 0);
        for (int i = 0; i < kScaleGroup; ++i) {
          const int exponent = tile.v_exponents[begin + i] - 127;
          ASSERT_EQ(decoded[(begin + i) * head_dim_ + d], std::ldexp(x[i], exponent));
        }
      }
    }
  }
}

TEST_P(Seal, MeanIsThatOfTheBlock) {
  for (int head = 0; head < testing::kTestKvHeads; ++head) {
    const LowTile tile = store_.tile(0, head);
    const BlockSummary summary = store_.summary(0, head);
    for (int d = 0; d < head_dim_; ++d) {
      double mean = 0;
      for (int token = 0; token < kBlockTokens; ++token) mean += k_.value(head, token, d) / 64;
      EXPECT_EQ(summary.block_mean[d].bits, oracle::encode_half(static_cast<float>(mean)));
      const bool centred = GetParam().numerics.centre_k;
      EXPECT_EQ(tile.k_mean[d].bits, centred ? summary.block_mean[d].bits : 0);
    }
  }
}

// value <= stored, and the next smaller float would be too small (up to the slack for double sums).
void expect_rounded_up(float stored, double value) {
  EXPECT_GE(stored, value);
  const double before = std::nextafter(stored, -std::numeric_limits<float>::infinity());
  EXPECT_LE(before, value * (1 + 1e-12));
}

TEST_P(Seal, SummariesAreTheLargestNormsRoundedUp) {
  const std::vector<double> zero(static_cast<std::size_t>(kBlockTokens * head_dim_));
  for (int head = 0; head < testing::kTestKvHeads; ++head) {
    const LowTile tile = store_.tile(0, head);
    const std::vector<double> k = testing::to_doubles(k_, head);
    const std::vector<double> v = testing::to_doubles(v_, head);
    const std::vector<double> low_k = oracle::decode_low_k(tile);
    const std::vector<double> low_v = oracle::decode_low_v(tile);
    double error_k = 0, error_v = 0, max_k = 0, max_v = 0;
    for (int token = 0; token < kBlockTokens; ++token) {
      error_k = std::max(error_k, testing::distance(k, low_k, token, head_dim_));
      error_v = std::max(error_v, testing::distance(v, low_v, token, head_dim_));
      max_k = std::max(max_k, testing::distance(low_k, zero, token, head_dim_));
      max_v = std::max(max_v, testing::distance(v, zero, token, head_dim_));
    }
    const BlockSummary summary = store_.summary(0, head);
    expect_rounded_up(summary.error_k, error_k);
    expect_rounded_up(summary.error_v, error_v);
    expect_rounded_up(summary.max_k, max_k);
    expect_rounded_up(summary.max_v, max_v);
    // What four bits leave of values of unit variance, and of the offset where it is not taken out.
    const double spread = GetParam().numerics.centre_k ? 1 : 3;
    EXPECT_LT(error_k, .25 * spread * std::sqrt(head_dim_));
    EXPECT_LT(error_v, .25 * std::sqrt(head_dim_));
  }
}

TEST_P(Seal, StoredScalesAreNormalAndTilesStartOnACacheLine) {
  for (int head = 0; head < testing::kTestKvHeads; ++head) {
    const LowTile tile = store_.tile(0, head);
    for (const Nvfp4Panel& panel : {tile.k, tile.v}) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(panel.codes) % 64, 0);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(panel.scales) % 64, 0);
      double largest = 0;
      for (int i = 0; i < panel.contraction / kScaleGroup * panel.lanes; ++i) {
        ASSERT_GE(panel.scales[i], 0x08);
        ASSERT_LE(panel.scales[i], 0x7e);
        largest = std::max(largest, oracle::decode_e4m3(panel.scales[i]));
      }
      // A power of two puts amax / 4 or amax / 6 of the largest group into the upper half of the
      // range.
      EXPECT_GE(largest, 448.0 / 2 * 4 / 6 * 15 / 16);
    }
    EXPECT_EQ(tile.k.contraction, head_dim_);
    EXPECT_EQ(tile.k.lanes, kBlockTokens);
    EXPECT_EQ(tile.v.contraction, kBlockTokens);
    EXPECT_EQ(tile.v.lanes, head_dim_);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Seal, ::testing::ValuesIn(cases()), name_of);

TEST(SealExponents, FollowTheRmsOfEachToken) {
  constexpr int kHeadDim = 64;
  // Token t has rms 2^(t / 5 - 8) exactly.
  const BlockRows k = BlockRows::gaussian(kHeadDim, 3);
  const BlockRows v(kHeadDim, [](int, int token, int d) {
    return std::ldexp(d % 2 == 0 ? 1.0f : -1.0f, token / 5 - 8);
  });
  BlockStore store = testing::make_store(kHeadDim);
  ASSERT_TRUE(store.seal(0, k.views(), v.views()).ok());
  const LowTile tile = store.tile(0, 1);
  for (int token = 0; token < kBlockTokens; ++token) {
    EXPECT_EQ(tile.v_exponents[token] - tile.v_exponents[0], token / 5) << token;
  }
  EXPECT_EQ(store.summary(0, 1).error_v, 0);  // every |u| is the same power of two

  BlockStore plain = testing::make_store(kHeadDim, Numerics::plain());
  ASSERT_TRUE(plain.seal(0, k.views(), v.views()).ok());
  for (int token = 1; token < kBlockTokens; ++token) {
    EXPECT_EQ(plain.tile(0, 1).v_exponents[token], plain.tile(0, 1).v_exponents[0]);
  }
}

TEST(SealExponents, StayWithinFourteenOfTheLargest) {
  constexpr int kHeadDim = 64;
  const BlockRows k = BlockRows::gaussian(kHeadDim, 3);
  // Token t has rms 2^(15 - t / 2) exactly, from 2^15 down to 2^-16, and the last token is zero.
  const BlockRows v(kHeadDim, [](int, int token, int) {
    return token == 63 ? 0.0f : std::ldexp(1.0f, 15 - token / 2);
  });
  BlockStore store = testing::make_store(kHeadDim);
  ASSERT_TRUE(store.seal(0, k.views(), v.views()).ok());
  const LowTile tile = store.tile(0, 1);
  for (int token = 0; token < kBlockTokens; ++token) {
    EXPECT_EQ(tile.v_exponents[0] - tile.v_exponents[token], std::min(token / 2, 14)) << token;
  }
}

TEST(SealExponents, RoundAtTheSquareRootOfTwo) {
  constexpr int kHeadDim = 32;
  const BlockRows k = BlockRows::gaussian(kHeadDim, 3);
  // 1448 / 1024 is just below sqrt(2), 1449 / 1024 just above.
  const BlockRows v(kHeadDim, [](int, int token, int) {
    return static_cast<float>(token % 2 == 0 ? 1448 : 1449) / 1024;
  });
  BlockStore store = testing::make_store(kHeadDim);
  ASSERT_TRUE(store.seal(0, k.views(), v.views()).ok());
  const LowTile tile = store.tile(0, 0);
  EXPECT_EQ(tile.v_exponents[1], tile.v_exponents[0] + 1);
}

}  // namespace
}  // namespace thriftattn
