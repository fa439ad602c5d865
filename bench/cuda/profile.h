// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How the softmax mass of made-up data lies over its blocks. The known profiles are matched to
// records of real models (docs/results/2026-11-25-mass-profiles.md).
#pragma once

#include <string>

namespace thriftattn::bench {

struct SyntheticProfile {
  float sink = 0;         // mass of the first token
  float own = 0;          // mass of the last block
  float deviation = 0;    // of the logs of the other blocks' masses
  float heavy_share = 1;  // of these blocks; the rest is lighter
  float light_gap = 0;    // ... by this much in the log
  float row_spread = 0;   // the rows of a group have their deviations within 1 +- this
  float turnover = 0;     // of the heaviest 5 %, from a step to the next
};

// "gemma3-270m", "smollm2", or a number from 0 to 1: that far from the first to the second in every
// parameter. Throws std::invalid_argument for another name.
SyntheticProfile profile_named(const std::string& name);

// One token's q against the fixed part of a block's log mass and against the part that is another
// at each step: the cosines of the two, whose squares add up to 1. Negative: the sign of the fixed
// part alternates, which is what turning over more than independent steps do takes.
struct StepMix {
  float fixed = 1;
  float step = 0;
};
StepMix mix_for_turnover(const SyntheticProfile& profile);

// q of one row of a group, along the directions of the keys.
struct RowWeights {
  float sink = 0;
  float own = 0;
  float scale = 1;  // of what makes the other blocks
};
inline constexpr float kRowKey = 16;       // length of the keys of sink and own block
inline constexpr float kKeyNoise = 0.45f;  // of each element of a key
RowWeights row_weights(const SyntheticProfile& profile, std::int64_t kv_len, int row, int group);

}  // namespace thriftattn::bench
