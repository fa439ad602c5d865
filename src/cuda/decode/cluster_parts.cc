// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/cluster_parts.h"

#include <algorithm>

#include "cuda/common/tile_layout.h"

namespace thriftattn::cuda {
namespace {

// Times are in bytes that a CTA reads while all read.
constexpr double kStart = 150e3;        // of clusters
constexpr double kNextWave = 55e3;      // of those that start when others have ended
constexpr double kNextWaveMore = 12e3;  // ... where a cluster is twice as large
constexpr double kCutStart = 300e3;     // of panels that are cut
constexpr double kCutSlower = 1.03;
constexpr double kCutPanel = 40e3;  // of each panel, but no more than a third of what it reads
constexpr double kFaster = 1.75;    // a CTA that has few others beside it

// Of the longest sequence, what a CTA of a cluster of 2^i has at most.
std::int64_t blocks_of_cta(const DenseWork& work, int i) {
  return (work.longest + (1 << i) - 1) >> i;
}

// All panels by clusters of 2^i CTAs, in waves where not all run side by side.
double time_of(const DenseWork& work, const DecodeShape& grid, int i, double all_bytes) {
  const int side_by_side = grid.clusters[i];
  const int waves = (work.panels + side_by_side - 1) / side_by_side;
  const int in_last = work.panels - (waves - 1) * side_by_side;
  const double mean = all_bytes / work.panels / (1 << i);  // bytes of a CTA
  const auto wave = [&](int clusters) { return mean * (clusters << i) / grid.ctas; };
  const auto longest = static_cast<double>(work.block_bytes * blocks_of_cta(work, i));
  return kStart + (waves - 1) * (kNextWave + kNextWaveMore * i + wave(side_by_side)) +
         std::max(mean / kFaster, wave(in_last)) + (longest - mean) / kFaster;
}

// i of the clusters of 2^i CTAs, one on an SM, that take least; -1: panels are cut.
int find_size(const DenseWork& work, const DecodeShape& grid) {
  const auto all_bytes = static_cast<double>(work.block_bytes * work.blocks);
  const double of_panels = std::min(kCutPanel * work.panels, all_bytes / 3);
  double best = kCutStart + (kCutSlower * all_bytes + of_panels) / grid.ctas;
  int size = -1;
  for (int i = 0; i < kClusterSizes && grid.clusters[i] > 0; ++i) {
    // Clusters of 16 leave SMs out: not more than one wave of them.
    if ((1 << i) > kPortableClusterCtas && work.panels > grid.clusters[i]) break;
    const double time = time_of(work, grid, i, all_bytes);
    if (time < best) {
      best = time;
      size = i;
    }
    // Larger clusters do not help where each CTA has a block, nor one of 16 where each warp of 8
    // CTAs has a quarter of one at most.
    const int quarters = 2 << i < kMaxClusterCtas ? kQuarters : grid.dense_warps;
    if (kQuarters * blocks_of_cta(work, i) <= quarters) break;
  }
  return size;
}

}  // namespace

ClusterSize cluster_size(const DenseWork& work, const DecodeShape& grid) {
  constexpr std::int64_t kMostBlocks = 32;  // of a CTA; beyond it what comes last is too uneven
  const int i = find_size(work, grid);
  if (i < 0) return {};
  const int ctas = 1 << i;
  const bool have_few = blocks_of_cta(work, i) <= kMostBlocks;
  const bool share_sms = 2 * work.panels * ctas > grid.ctas;  // most, or soon
  if (grid.paired_warps == 0 || !have_few || !share_sms) return {ctas, grid.dense_warps};
  // Clusters twice as large, where as many run side by side and have blocks.
  const bool twice = 2 * ctas <= kPortableClusterCtas && 2 * ctas <= work.longest &&
                     work.panels <= 2 * grid.clusters[i + 1];
  return {twice ? 2 * ctas : ctas, grid.paired_warps};
}

}  // namespace thriftattn::cuda
