// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Sets one step old: what a backend that carries its sets from step to step computes, for telling
// what that costs in quality.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "thriftattn/attention.h"

namespace thriftattn::plugin {

// Of one layer's cache. Units are single tokens.
class LaggedSets {
 public:
  // A trace to replay the call whose own choice `trace` is: each token with the promoted sets of
  // the token before it, the first of a stream with those of the last call. What is forced and what
  // is tail stays the token's own, but a block that was the own one is in the high tier once more,
  // and nothing promoted is tail. A token without one before it keeps its own sets.
  AttendTrace shift(const AttendTrace& trace, int first_stream);

 private:
  using Unit = std::tuple<int, int, int>;  // stream, kv head, first q head
  std::map<Unit, std::vector<std::uint8_t>> last_;
};

}  // namespace thriftattn::plugin
