// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Where a line of items is cut, and what lies between two cuts.
#pragma once

#include <cstdint>

#include "cuda/decode/types.h"

namespace thriftattn::cuda {

// Of a panel, a run of each class.
struct Slice {
  std::int32_t first[kItemClasses];  // among the panel's items
  std::int32_t count[kItemClasses];
};

// Where a line of items is cut. Promoted blocks are spread over it evenly, and the others fill up
// what is left of each length, so that equal lengths hold equal costs to within half a low block,
// and no more promoted ones than they must.
template <class Cost>
class Spread {
 public:
  // begin: what the line has in front of its items. length: of what lies between two cuts, at
  // least.
  __device__ Spread(const std::int32_t (&count)[kItemClasses], std::uint32_t begin,
                    std::uint32_t length)
      : count_(count), begin_(static_cast<float>(begin)) {
    high_ = static_cast<float>(count[kBoth] + count[kKeyOnly]);
    low_ = static_cast<float>(count[kLow] + count[kTail]);
    const auto cost = [&](int c) { return static_cast<float>(count[c]) * Cost::of(c); };
    const float high_cost = cost(kBoth) + cost(kKeyOnly);
    const float low_cost = cost(kLow) + cost(kTail);
    cost_ = high_cost + low_cost;
    high_each_ = high_ > 0 ? __fdividef(high_cost, high_) : 0;
    low_each_ = low_ > 0 ? __fdividef(low_cost, low_) : 1;
    // A length has up to one promoted block more than its part of them. What is left of it must not
    // be negative, or a later cut would have fewer of the others in front of it.
    is_short_ = static_cast<float>(length) * low_cost < 1.01f * high_each_ * cost_;
  }

  [[nodiscard]] __device__ std::uint32_t length() const {
    return static_cast<std::uint32_t>(begin_ + cost_);
  }

  // Items of each class in front of a place: the same for all that ask, and never fewer for a later
  // place.
  __device__ void cut(std::uint32_t place, int (&before)[kItemClasses]) const {
    const float at = static_cast<float>(place) - begin_;
    if (at >= cost_) {
#pragma unroll
      for (int c = 0; c < kItemClasses; ++c) before[c] = count_[c];
      return;
    }
    const float high = at > 0 ? floorf(fmaf(at, __fdividef(high_, cost_), 0.5f)) : 0;
    float even = __fdividef(fmaf(-high, high_each_, at), low_each_);
    if (is_short_) {
      // A promoted block is longer than what it lies in: it stands where it begins, in the middle
      // of its part of the line, with so many others in front of it.
      const float others = high_ > 0 ? __fdividef(low_, high_) : 0;
      const float half = 0.5f * __fdividef(high_each_, low_each_);
      const float least = high > 0 ? fmaf(high - 0.5f, others, half) : 0;
      const float most = high < high_ ? fmaf(high + 0.5f, others, half) : low_;
      even = fmaxf(fminf(even, most), least);
    }
    const float low = fminf(floorf(fmaxf(even, 0.0f) + 0.5f), low_);
    divide(high, high_, kBoth, kKeyOnly, before);
    divide(low, low_, kTail, kLow, before);
  }

 private:
  // `n` of `all` items of two classes.
  __device__ void divide(float n, float all, int first, int second,
                         int (&before)[kItemClasses]) const {
    const float share = all > 0 ? __fdividef(static_cast<float>(count_[first]), all) : 0;
    before[first] = min(static_cast<int>(fmaf(n, share, 0.5f)), count_[first]);
    before[second] = static_cast<int>(n) - before[first];
  }

  const std::int32_t (&count_)[kItemClasses];
  float begin_;
  float cost_;  // of the items
  float high_;  // promoted blocks
  float low_;
  float high_each_;
  float low_each_;
  bool is_short_;
};

// A warp's items of a panel. Item k of the piece is item k + shift of the panel, where shift
// belongs to the first class with k < end.
struct Piece {
  std::int32_t end[kItemClasses];
  std::int32_t shift[kItemClasses];

  [[nodiscard]] __device__ int items() const { return end[kItemClasses - 1]; }

  // The items [before, behind) of each class, among the panel's from `first` on.
  __device__ void set(const std::int32_t (&first)[kItemClasses], const int (&before)[kItemClasses],
                      const int (&behind)[kItemClasses]) {
    int total = 0;
#pragma unroll
    for (int c = 0; c < kItemClasses; ++c) {
      shift[c] = first[c] + before[c] - total;
      end[c] = total += behind[c] - before[c];
    }
  }
};

}  // namespace thriftattn::cuda
