// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/cluster_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace thriftattn::cuda {
namespace {

// An H100 or an H200.
DecodeShape hopper(int dense_warps = 12) {
  DecodeShape grid;
  grid.ctas = 132;
  grid.dense_warps = dense_warps;
  const int side_by_side[] = {132, 66, 30, 15, 7};
  std::copy(std::begin(side_by_side), std::end(side_by_side), grid.clusters);
  return grid;
}

// Sequences of as many tokens each.
DenseWork even(int batch, std::int64_t tokens, int kv_heads, int head_dim) {
  const std::int64_t blocks = (tokens + 63) / 64;
  const int panels = batch * kv_heads;
  return {panels, blocks, blocks * panels, std::int64_t{2} * 64 * head_dim * 2};
}

// What an H100 took least time with, of all sizes and of panels that are cut; where two are within
// 3 %, either.
TEST(ClusterParts, IsWhatWasFastest) {
  struct Measured {
    int batch;
    std::int64_t tokens;
    int kv_heads;
    int head_dim;
    std::vector<int> fastest;
  };
  const Measured all[] = {{1, 1024, 3, 64, {8}},
                          {1, 2048, 3, 64, {16}},
                          {1, 8192, 3, 64, {16}},
                          {1, 32768, 3, 64, {16}},
                          {1, 131072, 3, 64, {0}},
                          {1, 8192, 4, 256, {16}},
                          {1, 1024, 8, 128, {8}},
                          {8, 1024, 3, 64, {2, 4}},
                          {8, 8192, 3, 64, {4}},
                          {8, 1024, 8, 64, {2}},
                          {8, 1024, 8, 128, {2}},
                          {8, 8192, 8, 64, {2}},
                          {8, 8192, 8, 128, {2}},
                          {64, 1024, 3, 64, {1}},
                          {64, 8192, 3, 64, {1, 2, 4}},
                          {64, 1024, 8, 64, {1}},
                          {64, 1024, 8, 128, {1, 2}},
                          {64, 8192, 8, 64, {1, 2, 4}},
                          {64, 8192, 8, 128, {1, 2, 4, 8}},
                          {256, 1024, 8, 128, {1, 2}},
                          {256, 200, 8, 128, {0, 1}},
                          {40, 70, 16, 64, {0}},
                          {8, 32768, 4, 256, {0}},
                          {8, 131072, 4, 256, {0}},
                          {1, 32768, 4, 256, {16}},
                          {8, 8192, 4, 256, {0, 2}}};
  for (const Measured& m : all) {
    const int parts = cluster_size(even(m.batch, m.tokens, m.kv_heads, m.head_dim),
                                   hopper(m.head_dim == 256 ? 7 : 12))
                          .ctas;
    EXPECT_NE(std::find(m.fastest.begin(), m.fastest.end(), parts), m.fastest.end())
        << m.batch << " sequences of " << m.tokens << ", " << m.kv_heads << " kv heads, head_dim "
        << m.head_dim << ": " << parts;
  }
}

// CTAs of eight warps, and more of them, where two fit on an SM and that took less time on an H100.
TEST(ClusterParts, HaveFewWarpsWhereCtasAreShortAndMany) {
  DecodeShape grid = hopper();
  const auto expect = [&](int batch, std::int64_t tokens, int kv_heads, int ctas, int warps) {
    const ClusterSize size = cluster_size(even(batch, tokens, kv_heads, 64), grid);
    EXPECT_EQ(size.ctas, ctas) << batch << " sequences of " << tokens << ", " << kv_heads;
    EXPECT_EQ(size.warps, warps) << batch << " sequences of " << tokens << ", " << kv_heads;
  };
  expect(64, 1024, 3, 1, 12);  // two do not fit
  grid.paired_warps = 8;
  expect(64, 1024, 3, 1, 8);
  expect(64, 1024, 8, 1, 8);
  expect(256, 1024, 3, 1, 8);
  expect(8, 1024, 3, 8, 8);
  expect(8, 8192, 3, 8, 8);
  expect(30, 64, 3, 1, 8);     // no CTA without a block
  expect(8, 1024, 8, 2, 8);    // clusters of 4 do not run side by side
  expect(64, 8192, 3, 2, 12);  // one waits for the other's end
  expect(8, 8192, 8, 2, 12);
  expect(1, 1024, 3, 8, 12);  // few
  expect(1, 2048, 3, 16, 12);
}

TEST(ClusterParts, NoMoreThanThereAreBlocks) {
  for (int blocks = 1; blocks <= 8; ++blocks) {
    const int parts = cluster_size(even(1, 64 * blocks, 1, 128), hopper()).ctas;
    EXPECT_GE(parts, 1);
    EXPECT_LT(parts, 2 * blocks);
  }
}

TEST(ClusterParts, OnePanelMuchLongerThanTheOthersIsCut) {
  DenseWork work = even(8, 1024, 8, 128);
  EXPECT_GT(cluster_size(work, hopper()).ctas, 0);
  work.longest = 2048;
  work.blocks += 8 * 2032;
  EXPECT_EQ(cluster_size(work, hopper()).ctas, 0);
}

// Clusters of 16 are not on every device, and a device may have none at all.
TEST(ClusterParts, AsManyAsTheDeviceHas) {
  DecodeShape grid = hopper();
  grid.clusters[4] = 0;
  EXPECT_EQ(cluster_size(even(1, 8192, 3, 64), grid).ctas, 8);
  for (int& count : grid.clusters) count = 0;
  EXPECT_EQ(cluster_size(even(1, 8192, 3, 64), grid).ctas, 0);
}

}  // namespace
}  // namespace thriftattn::cuda
