// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Rounding by looking at every value of a format: slow, and hard to get wrong.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace thriftattn::testing {

// Index of the value nearest to x >= 0 in values[] (ascending); a tie goes to the even index, and
// what is beyond the last value to the last. Distances of short floats are exact in double.
inline unsigned nearest_even(const std::vector<double>& values, double x) {
  unsigned best = 0;
  double best_distance = std::numeric_limits<double>::infinity();
  for (unsigned i = 0; i < values.size(); ++i) {
    const double distance = std::fabs(x - values[i]);
    const bool tie = distance == best_distance;
    if (distance < best_distance || (tie && i % 2 == 0)) {
      best = i;
      best_distance = distance;
    }
  }
  return best;
}

// Every point where the rounded value may change, with its two neighbours in fp32: the values, and
// the points half way between them.
inline std::vector<float> boundary_values(const std::vector<double>& values) {
  std::vector<float> out;
  const float infinity = std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double next = i + 1 < values.size() ? values[i + 1] : 2 * values[i];
    for (const double x : {values[i], (values[i] + next) / 2}) {
      const auto at = static_cast<float>(x);
      out.push_back(std::nextafter(at, -infinity) < 0 ? 0.0f : std::nextafter(at, -infinity));
      out.push_back(at);
      out.push_back(std::nextafter(at, infinity));
    }
  }
  return out;
}

}  // namespace thriftattn::testing
