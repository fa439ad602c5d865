// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What is promoted: policy, budget, forced blocks and tail of one attend call.
#pragma once

#include <cstdint>

namespace thriftattn {

// How candidate blocks are ranked. Ties go to the lower block index.
enum class Policy : std::uint8_t {
  kFp4Mass,    // softmax mass computed from the low tier's scores, summed over the unit's rows
  kBlockMean,  // q . mean(K of the block), summed over the unit's rows (the published method)
  kQuest,      // upper bound of q . k from the block's minimum and maximum per channel
  kLocal,      // the most recent blocks
  kRandom,     // a control: blocks drawn by `seed`
};

struct Budget {
  enum class Kind : std::uint8_t {
    kFraction,  // value = share of the unit's candidate blocks
    kCount,     // value = number of blocks
    kMass,      // value = share of the candidates' mass; the smallest set that reaches it
    kAll,       // everything in the high tier, the score pass is skipped; tau still drops a tail
  };
  Kind kind = Kind::kFraction;
  double value = 0.05;
  // The budget is spent unevenly: ceil(k_share * value * n) blocks have K promoted, and the best
  // ceil(v_share * value * n) of these V too. (kMass promotes both.)
  double k_share = 1.6;
  double v_share = 0.4;
};

// Which query rows share one promoted set.
enum class SelectionUnit : std::uint8_t {
  kAuto,           // kToken for calls of up to 16 rows a sequence, kTile above
  kToken,          // one token: all q heads of a kv head together
  kTokenPerQHead,  // one token of one q head (the published method's decode)
  kTile,           // up to 64 consecutive tokens of one q head, anchored at multiples of 64
};

struct Selection {
  Policy policy = Policy::kFp4Mass;
  Budget budget;
  // Blocks are taken in order of increasing mass (the largest over the unit's rows) while their
  // masses add up to at most tau: their V is not read. 0 = every V is read.
  double tau = 0.01;
  bool force_sink = true;  // the first block is promoted without asking
  bool force_own = true;   // so are the row's own block and partly visible blocks
  SelectionUnit unit = SelectionUnit::kAuto;
  std::uint64_t seed = 0;  // of Policy::kRandom

  // 16-bit attention: every block in the high tier, every V read.
  static Selection exact() {
    Selection s;
    s.budget.kind = Budget::Kind::kAll;
    s.tau = 0;
    return s;
  }

  // The published method: block means, one set per q head, an even budget, nothing forced, no tail.
  static Selection paper() {
    Selection s;
    s.policy = Policy::kBlockMean;
    s.budget = {Budget::Kind::kFraction, 0.05, 1.0, 1.0};
    s.tau = 0;
    s.force_sink = false;
    s.force_own = false;
    s.unit = SelectionUnit::kTokenPerQHead;
    return s;
  }
};

}  // namespace thriftattn
