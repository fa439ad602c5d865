// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What follows from the config of a CudaKvCache: the bytes of its arrays, and the crossover. Needs
// no device.
#include "cuda/cache/tier_sizes.h"

#include <gtest/gtest.h>

#include <limits>

namespace thriftattn::cuda {
namespace {

double bits_an_element(const CudaKvCacheConfig& config, const TierSizes& sizes) {
  const double elements =
      2.0 * 64 * static_cast<double>(config.pages) * config.kv_heads * config.head_dim;
  const std::int64_t bytes =
      sizes.low_k + sizes.low_v + 2 * sizes.rows + 2 * sizes.residual + 2 * sizes.block_mean;
  return 8 * static_cast<double>(bytes) / elements;
}

TEST(TierSizes, RowsOfEveryPageOrOfOneBlockASequence) {
  CudaKvCacheConfig config{.kv_heads = 8, .head_dim = 128, .pages = 1000, .max_sequences = 5};
  const TierSizes rows = TierSizes::of(config);
  ASSERT_TRUE(rows.fit);
  EXPECT_EQ(rows.rows, 1000 * 8 * 16384);
  EXPECT_EQ(rows.residual, 0);
  config.high_tier = HighTier::kNested;
  const TierSizes nested = TierSizes::of(config);
  ASSERT_TRUE(nested.fit);
  EXPECT_EQ(nested.rows, 5 * 8 * 16384);
  EXPECT_EQ(nested.residual, 1000 * 8 * 4608);
  EXPECT_EQ(nested.low_k, rows.low_k);
  EXPECT_EQ(nested.low_v, rows.low_v);
  EXPECT_EQ(nested.block_mean, rows.block_mean);
}

TEST(TierSizes, BitsAnElementAreThoseOfTheDesign) {
  CudaKvCacheConfig config{.kv_heads = 8, .head_dim = 128, .pages = 1 << 20, .max_sequences = 1};
  EXPECT_NEAR(bits_an_element(config, TierSizes::of(config)), 20.875, 0.01);
  config.high_tier = HighTier::kNested;
  EXPECT_NEAR(bits_an_element(config, TierSizes::of(config)), 9.375, 0.01);
}

TEST(TierSizes, WhatDoesNotFitIsSaid) {
  CudaKvCacheConfig config{.kv_heads = 32767, .head_dim = 256, .pages = 1, .max_sequences = 1};
  for (const HighTier tier : {HighTier::kRows16, HighTier::kNested}) {
    config.high_tier = tier;
    config.pages = 1;
    EXPECT_TRUE(TierSizes::of(config).fit);
    config.pages = std::int64_t{1} << 40;
    EXPECT_FALSE(TierSizes::of(config).fit);
  }
}

// The device is asked for last, so that what no device could do is refused without one.
TEST(CudaConfig, AnUnknownHighTierIsRefused) {
  const CudaKvCacheConfig config{
      .kv_heads = 1, .head_dim = 64, .pages = 1, .high_tier = static_cast<HighTier>(2)};
  const Status status = CudaKvCache::create(config).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("high_tier 2"), std::string::npos) << status.message();
}

// Between the measured lengths on either side of it.
TEST(Crossover, LiesBetweenWhatWasMeasured) {
  struct Measured {
    int kv_heads;
    int head_dim;
    std::int64_t sequences;
    std::int64_t dense;   // tokens at which all 16 bit was faster
    std::int64_t chosen;  // and at which it was not
  };
  for (const Measured& m : {Measured{8, 128, 1, 8192, 32768}, Measured{8, 128, 8, 1024, 8192},
                            Measured{8, 128, 64, 0, 1024}, Measured{8, 64, 1, 8192, 32768},
                            Measured{8, 64, 8, 1024, 8192}, Measured{3, 64, 1, 32768, 131072},
                            Measured{3, 64, 8, 8192, 32768}, Measured{4, 256, 1, 8192, 32768},
                            Measured{4, 256, 8, 1024, 8192}}) {
    CudaKvCacheConfig config;
    config.kv_heads = m.kv_heads;
    config.head_dim = m.head_dim;
    const std::int64_t tokens = crossover_tokens(config, m.sequences);
    EXPECT_GE(tokens, m.dense) << m.head_dim << ' ' << m.sequences;
    EXPECT_LE(tokens, m.chosen) << m.head_dim << ' ' << m.sequences;
    EXPECT_EQ(crossover_tokens(config, 0), 0);
    EXPECT_EQ(crossover_tokens(config, std::int64_t{1} << 62), 0);
    config.residence = Residence::kPinnedHost;
    EXPECT_EQ(crossover_tokens(config, m.sequences), 0);
    config.residence = Residence::kDevice;
    config.high_tier = HighTier::kNested;
    EXPECT_EQ(crossover_tokens(config, m.sequences), 0);
  }
  EXPECT_EQ(crossover_tokens({}, 1), 0);
}

}  // namespace
}  // namespace thriftattn::cuda
