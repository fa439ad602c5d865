// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/choices.h"

#include <algorithm>

namespace thriftattn::cuda {

// Anchors: each warp scores one in every panel that its CTA has a part of, which costs little where
// it has many blocks. Promoted blocks: one anchor a CTA and panel. What is saved is some part of
// the V of a warp's blocks, and of few it is less than either. Measured on an H100.
TailBy tail_of_step(const StepWork& work, bool always) {
  constexpr double kBlocksPerAnchor = 12;
  constexpr double kFewBlocks = 8;
  const auto ctas = static_cast<double>(work.ctas);
  const double anchors = static_cast<double>(work.panels) / ctas + 2;
  const double blocks =
      static_cast<double>(work.panel_blocks) / (ctas * static_cast<double>(work.warps));
  if (blocks >= kBlocksPerAnchor * anchors) return TailBy::kAnchors;
  if (blocks >= kFewBlocks) return TailBy::kPromoted;
  return always ? TailBy::kAnchors : TailBy::kNone;
}

// As much K as memory gives in the 4 us that the shares take to work out; of a short call less,
// whose own order is then the better one.
KeyPrefetch prefetch_of_step(const StepWork& work) {
  constexpr std::int64_t kLeast = 4 << 20;
  constexpr std::int64_t kMost = 12 << 20;
  const std::int64_t all = work.longest_blocks * work.sequences;
  const std::int64_t bytes = std::clamp(all * work.page_bytes / 8, kLeast, kMost);
  KeyPrefetch prefetch;
  prefetch.blocks = static_cast<std::int32_t>(work.longest_blocks);
  prefetch.pages =
      static_cast<std::int32_t>(std::min({all, bytes / work.page_bytes, work.ctas * work.warps}));
  if (prefetch.pages > 0) {
    prefetch.step = static_cast<float>(all) / static_cast<float>(prefetch.pages);
  }
  return prefetch;
}

}  // namespace thriftattn::cuda
