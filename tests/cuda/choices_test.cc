// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/choices.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "cuda/decode/launch.h"

namespace thriftattn::cuda {
namespace {

// Sequences of a length, with one panel a kv head, on an H100.
StepWork step_of(std::int64_t sequences, std::int64_t blocks, std::int64_t kv_heads = 8,
                 std::int64_t k_bytes = 4992) {
  const std::int64_t panels = sequences * kv_heads;
  return {panels, panels * blocks, sequences, blocks, kv_heads * k_bytes, 132, 12};
}

// The shapes of docs/kernels/sm90a.md, where each was timed.
TEST(TailOfStep, TakesWhatWasFaster) {
  EXPECT_EQ(tail_of_step(step_of(8, 2048), false), TailBy::kAnchors);
  EXPECT_EQ(tail_of_step(step_of(1, 15625), false), TailBy::kAnchors);
  EXPECT_EQ(tail_of_step(step_of(8, 512), false), TailBy::kPromoted);
  EXPECT_EQ(tail_of_step(step_of(64, 128), false), TailBy::kPromoted);
  EXPECT_EQ(tail_of_step(step_of(1, 2048), false), TailBy::kPromoted);
  EXPECT_EQ(tail_of_step(step_of(1, 512), false), TailBy::kNone);
  EXPECT_EQ(tail_of_step(step_of(8, 128), false), TailBy::kNone);
}

TEST(TailOfStep, AlwaysHasOneIfAsked) {
  for (const std::int64_t blocks : {1, 100, 10000}) {
    EXPECT_NE(tail_of_step(step_of(1, blocks), true), TailBy::kNone);
  }
}

// As the kernel works them out: one a warp, all different, inside the call's blocks.
TEST(PrefetchOfStep, PagesLieApartAndInside) {
  for (const std::int64_t sequences : {1, 2, 7, 64, 256}) {
    for (const std::int64_t blocks : {1, 2, 17, 512, 2048, 16384}) {
      for (const std::int64_t kv_heads : {1, 3, 8, 256}) {
        const StepWork work = step_of(sequences, blocks, kv_heads, 9856);
        const KeyPrefetch prefetch = prefetch_of_step(work);
        ASSERT_GT(prefetch.pages, 0);
        EXPECT_LE(prefetch.pages, work.ctas * work.warps);
        EXPECT_LE(prefetch.pages * work.page_bytes, 12 << 20);
        EXPECT_EQ(prefetch.blocks, blocks);
        std::int64_t last = -1;
        for (int warp = 0; warp < prefetch.pages; ++warp) {
          const auto at = static_cast<std::int64_t>(
              static_cast<unsigned>(static_cast<float>(warp) * prefetch.step));
          EXPECT_GT(at, last);
          last = at;
        }
        EXPECT_LT(last, sequences * blocks);
        EXPECT_GE(last, sequences * blocks - 2 * static_cast<std::int64_t>(prefetch.step) - 2);
      }
    }
  }
}

TEST(PrefetchOfStep, TakesAnEighthWithinLimits) {
  EXPECT_EQ(prefetch_of_step(step_of(1, 64)).pages, 64);     // all of 2.5 MB
  EXPECT_EQ(prefetch_of_step(step_of(1, 512)).pages, 105);   // 4 MiB
  EXPECT_EQ(prefetch_of_step(step_of(1, 2048)).pages, 256);  // 10 MB
  EXPECT_EQ(prefetch_of_step(step_of(8, 2048)).pages, 315);  // 12 MiB
  // A page is never asked for in part.
  EXPECT_EQ(prefetch_of_step(step_of(1, 64, 4096)).pages, 0);
}

constexpr int kHopperShared = 227 * 1024;
constexpr int kSmallShared = 99 * 1024;  // of compute capability 12.0

SelectWork select_work(int units, int blocks, bool appends = false, int limit = kHopperShared) {
  return {units, blocks, blocks + 4, 128, appends, limit};
}

// As timed in docs/kernels/sm90a.md.
TEST(SelectGrid, OnHopper) {
  EXPECT_EQ(select_grid(select_work(8, 512)).threads, 544);
  EXPECT_EQ(select_grid(select_work(8, 512, true)).threads, 672);
  EXPECT_EQ(select_grid(select_work(512, 128, true)).threads, 256);
  EXPECT_EQ(select_grid(select_work(8, 2048)).cluster, 1);
  EXPECT_EQ(select_grid(select_work(1, 15625)).cluster, 8);
  EXPECT_EQ(select_grid(select_work(8, 15625)).cluster, 8);
  EXPECT_EQ(select_grid(select_work(64, 15625)).cluster, 2);
  EXPECT_EQ(select_grid(select_work(512, 15625)).cluster, 1);
  // Two of few units are not on one SM.
  EXPECT_GT(2 * select_grid(select_work(8, 512)).shared_bytes, kHopperShared);
  EXPECT_LT(2 * select_grid(select_work(128, 512)).shared_bytes, kHopperShared);
}

// Whatever a unit may have: more of them than fit are shared by several CTAs.
TEST(SelectGrid, FitsWhatTheDeviceHas) {
  for (const int limit : {kSmallShared, kHopperShared}) {
    for (const int units : {1, 8, 66, 133, 2048}) {
      for (const int max_blocks : {1, 132, 2048, 9000, 16384}) {
        for (const int head_dim : {64, 128, 256}) {
          for (const bool appends : {false, true}) {
            const SelectGrid grid =
                select_grid({units, max_blocks, max_blocks, head_dim, appends, limit});
            EXPECT_LE(grid.shared_bytes, limit) << units << ' ' << max_blocks << ' ' << head_dim;
            EXPECT_GE(grid.shared_bytes * grid.cluster, 8 * max_blocks);
            EXPECT_LE(grid.cluster, kPortableClusterCtas);
            EXPECT_LE(grid.threads, 1024);
          }
        }
      }
    }
  }
  EXPECT_EQ(select_grid(select_work(512, 15625, false, kSmallShared)).cluster, 2);
}

}  // namespace
}  // namespace thriftattn::cuda
