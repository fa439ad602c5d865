// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What the host chooses for a step from its sizes alone.
#pragma once

#include <cstdint>

#include "cuda/decode/types.h"

namespace thriftattn::cuda {

// The sizes of a call and of the grid that it runs on.
struct StepWork {
  std::int64_t panels = 0;
  std::int64_t panel_blocks = 0;    // of all panels, open ones among them
  std::int64_t sequences = 0;       // of the call
  std::int64_t longest_blocks = 0;  // of a sequence
  std::int64_t page_bytes = 0;      // K tiles of all kv heads
  std::int64_t ctas = 0;
  std::int64_t warps = 0;  // of a CTA
};

// What a step with a state measures its tail by; kNone: V of the tail is read, since to leave it
// out takes longer.
TailBy tail_of_step(const StepWork& work, bool always);

KeyPrefetch prefetch_of_step(const StepWork& work);

}  // namespace thriftattn::cuda
