// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Who sees which cell: the F16 mask of an attention node as bits.
#pragma once

#include <cstdint>
#include <vector>

#include "flash_problem.h"

namespace thriftattn::plugin {

// What the rows of a call see of one block.
struct BlockNeed {
  std::uint64_t any = 0;  // cells that some row sees
  bool full = false;      // some row sees all 64
};

class MaskBits {
 public:
  // False where a mask value is neither 0 nor -inf (ALiBi, soft masks) or the mask differs by head.
  bool build(const FlashProblem& problem, Executor& executor);

  [[nodiscard]] std::int64_t blocks() const { return blocks_; }
  [[nodiscard]] std::uint64_t visible(std::int64_t stream, std::int64_t token,
                                      std::int64_t block) const {
    return bits_[((stream % streams_) * tokens_ + token) * blocks_ + block];
  }
  // [blocks]
  [[nodiscard]] std::vector<BlockNeed> needs(std::int64_t stream) const;

 private:
  std::int64_t streams_ = 0;  // of the mask: 1 serves all
  std::int64_t tokens_ = 0;
  std::int64_t blocks_ = 0;
  std::vector<std::uint64_t> bits_;  // [streams, tokens, blocks]
};

}  // namespace thriftattn::plugin
