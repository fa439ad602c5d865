// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "lagged_sets.h"

#include <algorithm>
#include <cstddef>

namespace thriftattn::plugin {
namespace {

std::int64_t visible(const std::vector<std::uint8_t>& fate) {
  return std::count_if(fate.begin(), fate.end(),
                       [](std::uint8_t f) { return (f & kFateVisible) != 0; });
}

// Another sequence in the same cache, or a jump, is not the next token.
bool follows(const std::vector<std::uint8_t>& before, const std::vector<std::uint8_t>& now) {
  const std::int64_t more = visible(now) - visible(before);
  return more == 0 || more == 1;
}

std::uint8_t carried(std::uint8_t before, std::uint8_t now) {
  if ((now & kFateVisible) == 0 || (now & kFateForced) != 0) return now;
  const int kept = before & (kFateForced | kFatePromotedK | kFatePromotedV);
  return static_cast<std::uint8_t>(kFateVisible | (kept != 0 ? kept : now & kFateTail));
}

}  // namespace

AttendTrace LaggedSets::shift(const AttendTrace& trace, int first_stream) {
  AttendTrace shifted = trace;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const UnitTrace& own = trace[i];
    std::vector<std::uint8_t>& before =
        last_[{first_stream + own.sequence, own.kv_head, own.first_q_head}];
    if (follows(before, own.fate)) {
      before.resize(own.fate.size());
      std::transform(before.begin(), before.end(), own.fate.begin(), shifted[i].fate.begin(),
                     carried);
    }
    before = own.fate;
  }
  return shifted;
}

}  // namespace thriftattn::plugin
