// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What decides about a run of floats before it is rounded: its largest magnitude, and whether all
// of it is finite.
#pragma once

#include <algorithm>
#include <cmath>

#include "numeric/host_device.h"

namespace thriftattn::numeric {

// max |x[i]|, 0 of no values. NaN does not count.
THRIFTATTN_HOST_DEVICE inline float largest_magnitude(const float* x, int n) {
  float largest = 0;
  for (int i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

// Whether no value is NaN or infinite.
inline bool all_finite(const float* x, int n) {
  return std::all_of(x, x + n, [](float value) { return std::isfinite(value); });
}

}  // namespace thriftattn::numeric
