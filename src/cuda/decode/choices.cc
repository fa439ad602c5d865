// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/choices.h"

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

}  // namespace thriftattn::cuda
