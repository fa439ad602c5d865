// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a panel: scores, block masses, weighted values. Every sum has a fixed order, by
// row and block.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/panel.h"
#include "engine/product.h"
#include "numeric/dtype.h"
#include "numeric/magnitude.h"
#include "numeric/nvfp4.h"

namespace thriftattn::engine {
namespace {

constexpr int kSoftmaxRows = 64;  // of one kernel call
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
// P is at most 1; this spreads a row over all of E4M3's range times E2M1's.
constexpr float kWeightScale = numeric::kMaxScale * numeric::kMaxE2m1;

}  // namespace

Panel::Range Panel::blocks_of(int split) const {
  const std::int64_t length = call_->options->split_blocks;
  return {split * length, std::min(blocks_, (split + 1) * length)};
}

void Panel::gather_q() {
  q_.reserve(static_cast<std::size_t>(rows_) * head_dim_);
  const std::int64_t token0 = call_->q_offsets[plan_.sequence] + plan_.first_token;
  for (int r = 0; r < rows_; ++r) {
    float* q = q_.data() + static_cast<std::size_t>(r) * head_dim_;
    numeric::decode_row(call_->q, token0 + r / plan_.q_heads,
                        plan_.first_q_head + r % plan_.q_heads, q);
    for (int d = 0; d < head_dim_; ++d) q[d] *= call_->scale;
    // All scores of a spoiled row are NaN: some -inf must not pass for "sees nothing".
    if (!numeric::all_finite(q, head_dim_)) std::fill_n(q, head_dim_, kNaN);
  }
  low_q_ = call_->options->mode == ComputeMode::kW4a4;
  if (low_q_) quantise_q();
}

// q ~ mean + NVFP4(q - mean); the mean is that of the tile's finite rows, or 0 where rows stand
// alone.
void Panel::quantise_q() {
  const Numerics& numerics = call_->options->numerics;
  q_low_.reserve(static_cast<std::size_t>(rows_) * head_dim_);
  float mean[kMaxHeadDim] = {};
  int finite_rows = 0;
  for (int r = 0; r < rows_ && plan_.tile && numerics.centre_k; ++r) {
    const float* q = q_.data() + static_cast<std::size_t>(r) * head_dim_;
    if (!numeric::all_finite(q, head_dim_)) continue;
    ++finite_rows;
    for (int d = 0; d < head_dim_; ++d) mean[d] += q[d];
  }
  for (int d = 0; d < head_dim_ && finite_rows; ++d) mean[d] /= static_cast<float>(finite_rows);
  for (int r = 0; r < rows_; ++r) {
    const float* q = q_.data() + static_cast<std::size_t>(r) * head_dim_;
    float* low = q_low_.data() + static_cast<std::size_t>(r) * head_dim_;
    if (!numeric::all_finite(q, head_dim_)) {
      std::copy_n(q, head_dim_, low);
      continue;
    }
    for (int d = 0; d < head_dim_; ++d) low[d] = q[d] - mean[d];
    const int exponent =
        numeric::scale_exponent(numeric::largest_magnitude(low, head_dim_), numerics.scale_rule);
    numeric::fake_quantize(low, head_dim_, numerics.scale_rule, exponent, low);
    for (int d = 0; d < head_dim_; ++d) low[d] += mean[d];
  }
}

// Blocks of a cold cache come from memory: starts the loads of the block of this split that the
// step reads after this one. The first unit stands for all.
void Panel::prefetch_after(std::int64_t block, std::int64_t end, Pass pass) const {
  const auto reads = [&](std::int64_t b) {
    const std::uint8_t f = fate_[b];
    if (pass == Pass::kValue) return !(f & kFateTail);
    return pass != Pass::kRescore || ((f & kFatePromotedK) && !(f & kFateForced));
  };
  if (!reads(block)) return;
  do {
    if (++block == end) return;
  } while (!reads(block));
  const BlockView& view = views_[block];
  const bool value = pass == Pass::kValue;
  const bool high = fate_[block] & (kFateForced | (value ? kFatePromotedV : kFatePromotedK));
  if (!high || view.nested()) engine::prefetch(value ? view.low.v : view.low.k);
  if (high && view.nested()) engine::prefetch(value ? view.residual.v : view.residual.k);
  if (high && !view.nested()) engine::prefetch(value ? view.v : view.k, head_dim_);
}

void Panel::score(int split, ThreadScratch& scratch) {
  for (std::int64_t b = blocks_of(split).begin; b < blocks_of(split).end; ++b) {
    prefetch_after(b, blocks_of(split).end, Pass::kLow);
    scratch.low.clear();
    scratch.high.clear();
    for (int r = 0; r < rows_; ++r) {
      const std::uint8_t f = fate(r / plan_.rows_per_unit, b);
      if (!mask(r, b)) {
        maximum_.data()[b * rows_ + r] = kMinusInfinity;
        sum_.data()[b * rows_ + r] = 0;
      } else {
        (f & (kFateForced | kFatePromotedK) ? scratch.high : scratch.low).push_back(r);
      }
    }
    score_rows(b, scratch.low, Pass::kLow, scratch);
    score_rows(b, scratch.high, Pass::kHigh, scratch);
  }
}

void Panel::rescore(int split, ThreadScratch& scratch) {
  if (selected_) return;
  for (std::int64_t b = blocks_of(split).begin; b < blocks_of(split).end; ++b) {
    prefetch_after(b, blocks_of(split).end, Pass::kRescore);
    scratch.high.clear();
    for (int r = 0; r < rows_; ++r) {
      const std::uint8_t f = fate(r / plan_.rows_per_unit, b);
      if ((f & kFatePromotedK) && !(f & kFateForced) && mask(r, b)) scratch.high.push_back(r);
    }
    score_rows(b, scratch.high, Pass::kRescore, scratch);
  }
}

void Panel::score_rows(std::int64_t block, const std::vector<int>& rows, Pass pass,
                       ThreadScratch& scratch) {
  if (rows.empty()) return;
  const BlockView& view = views_[block];
  const float* q = pass == Pass::kLow && low_q_ ? q_low_.data() : q_.data();
  scratch.a.clear();
  scratch.c.clear();
  for (const int r : rows) {
    scratch.a.push_back(q + static_cast<std::size_t>(r) * head_dim_);
    scratch.c.push_back(scores(block, r));
  }
  const int count = static_cast<int>(rows.size());
  ProductRows product{.a = scratch.a.data(), .c = scratch.c.data(), .count = count};
  Products products(*call_->kernels, head_dim_, scratch.product);
  // The kept score of a nested block is the first of its two dots, unless q was rounded for it.
  const bool keep_low = pass == Pass::kRescore && !low_q_;
  if (pass == Pass::kLow || (view.nested() && !keep_low)) products.k_low(view.low, product);
  if (pass != Pass::kLow && view.nested()) {
    product.accumulate = true;
    products.k_residual(view.residual, product);
  } else if (pass != Pass::kLow) {
    products.k_high(view.k, product);
  }
  for (int i = 0; i < count; ++i) {
    const std::uint64_t visible = mask(rows[i], block);
    if (visible == ~std::uint64_t{0}) continue;
    for (int t = 0; t < kBlockTokens; ++t) {
      if (!(visible >> t & 1)) scratch.c[i][t] = kMinusInfinity;
    }
  }
  float maximum[kSoftmaxRows];
  float sum[kSoftmaxRows];
  for (int begin = 0; begin < count; begin += kSoftmaxRows) {
    const int n = std::min(kSoftmaxRows, count - begin);
    call_->kernels->block_softmax(scratch.c.data() + begin, n, maximum, sum);
    for (int i = 0; i < n; ++i) {
      maximum_.data()[block * rows_ + rows[begin + i]] = maximum[i];
      sum_.data()[block * rows_ + rows[begin + i]] = sum[i];
    }
  }
}

// Softmax mass of every block for every row; NaN for rows that hold NaN, 0 for rows that see
// nothing.
void Panel::compute_masses() {
  row_maximum_.assign(rows_, kMinusInfinity);
  row_sum_.assign(rows_, 0.0f);
  float maxima[kBlockTokens];
  float weights[kBlockTokens];
  for (int r = 0; r < rows_; ++r) {
    float maximum = kMinusInfinity;
    for (std::int64_t b = 0; b < blocks_; ++b) {
      const float m = maximum_.data()[b * rows_ + r];
      if (m > maximum || std::isnan(m)) maximum = m;
      if (std::isnan(m)) break;
    }
    row_maximum_[r] = maximum;
    const bool nothing = maximum == kMinusInfinity;
    for (std::int64_t begin = 0; begin < blocks_; begin += kBlockTokens) {
      const int n = static_cast<int>(std::min<std::int64_t>(kBlockTokens, blocks_ - begin));
      for (int i = 0; i < kBlockTokens; ++i) {
        maxima[i] = i < n ? maximum_.data()[(begin + i) * rows_ + r] : kMinusInfinity;
      }
      if (nothing) {
        std::fill_n(weights, kBlockTokens, 0.0f);
      } else {
        call_->kernels->block_weights(maxima, maximum, weights);
      }
      for (int i = 0; i < n; ++i) {
        const std::int64_t cell = (begin + i) * rows_ + r;
        masses_.data()[cell] = sum_.data()[cell] * weights[i];
        row_sum_[r] += masses_.data()[cell];
      }
    }
    if (nothing) continue;
    for (std::int64_t b = 0; b < blocks_; ++b) masses_.data()[b * rows_ + r] /= row_sum_[r];
  }
}

void Panel::value(int split, ThreadScratch& scratch) {
  std::fill_n(out_.data() + static_cast<std::size_t>(split) * rows_ * head_dim_,
              static_cast<std::size_t>(rows_) * head_dim_, 0.0f);
  for (std::int64_t b = blocks_of(split).begin; b < blocks_of(split).end; ++b) {
    prefetch_after(b, blocks_of(split).end, Pass::kValue);
    scratch.low.clear();
    scratch.high.clear();
    for (int r = 0; r < rows_; ++r) {
      const std::uint8_t f = fate(r / plan_.rows_per_unit, b);
      if (!mask(r, b) || (f & kFateTail)) continue;
      (f & (kFateForced | kFatePromotedV) ? scratch.high : scratch.low).push_back(r);
    }
    value_rows(b, scratch.low, false, split, scratch);
    value_rows(b, scratch.high, true, split, scratch);
  }
}

void Panel::value_rows(std::int64_t block, const std::vector<int>& rows, bool high, int split,
                       ThreadScratch& scratch) {
  if (rows.empty()) return;
  const BlockView& view = views_[block];
  float* weights = scratch.weights.reserve(static_cast<std::size_t>(rows_) * kBlockTokens);
  const bool nested = view.nested();
  // A NaN that one row masks must not meet its zero weight.
  const bool one_by_one = high && !nested && view.non_finite;
  scratch.a.clear();
  scratch.c.clear();
  std::uint64_t needed = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const int r = rows[i];
    float* p = weights + i * kBlockTokens;
    weigh_row(block, r, high, split, p);
    needed |= mask(r, block);
    scratch.a.push_back(p);
    scratch.c.push_back(out_.data() + (static_cast<std::size_t>(split) * rows_ + r) * head_dim_);
  }
  Products products(*call_->kernels, head_dim_, scratch.product);
  ProductRows product{.a = scratch.a.data(),
                      .c = scratch.c.data(),
                      .count = static_cast<int>(rows.size()),
                      .accumulate = true};
  if (!high || nested) products.v_low(view.low, product);
  if (high && nested) {
    products.v_residual(view.residual, view.low, product);
  } else if (high && !one_by_one) {
    products.v_high(view.v, needed, product);
  }
  product.count = 1;
  for (std::size_t i = 0; i < rows.size() && one_by_one; ++i, ++product.a, ++product.c) {
    products.v_high(view.v, mask(rows[i], block), product);
  }
}

// p = exp(score - row maximum), through NVFP4 where the mode asks for it; adds to the split's sum.
void Panel::weigh_row(std::int64_t block, int row, bool high, int split, float* p) {
  float sum = call_->kernels->block_weights(scores(block, row), row_maximum_[row], p);
  if (!high && low_q_ && std::isfinite(sum)) {
    // Token norms are folded into P before it is rounded, relative to the largest of the block.
    const std::uint8_t* exponents = views_[block].low.v_exponents;
    const std::uint8_t largest = *std::max_element(exponents, exponents + kBlockTokens);
    float norm[kBlockTokens];
    for (int t = 0; t < kBlockTokens; ++t) {
      norm[t] = std::ldexp(1.0f, exponents[t] - largest);
      p[t] *= norm[t] * kWeightScale;
    }
    numeric::fake_quantize(p, kBlockTokens, call_->options->numerics.scale_rule, 0, p);
    sum = 0;
    for (int t = 0; t < kBlockTokens; ++t) {
      p[t] = norm[t] > 0 ? p[t] / kWeightScale / norm[t] : 0.0f;
      sum += p[t];
    }
  }
  used_[static_cast<std::size_t>(split) * rows_ + row] += sum;
}

void Panel::write_row(int row) {
  float* total =
      out_.data() + static_cast<std::size_t>(row) * head_dim_;  // split 0, then the others in order
  float used = splits_ > 0 ? used_[row] : 0.0f;
  for (int s = 1; s < splits_; ++s) {
    const float* part = out_.data() + (static_cast<std::size_t>(s) * rows_ + row) * head_dim_;
    for (int d = 0; d < head_dim_; ++d) total[d] += part[d];
    used += used_[static_cast<std::size_t>(s) * rows_ + row];
  }
  const bool nothing = row_maximum_[row] == kMinusInfinity;
  float result[kMaxHeadDim] = {};
  for (int d = 0; d < head_dim_ && !nothing; ++d) result[d] = total[d] / used;

  const std::int64_t token =
      call_->q_offsets[plan_.sequence] + plan_.first_token + row / plan_.q_heads;
  const std::int64_t head = plan_.first_q_head + row % plan_.q_heads;
  numeric::encode_row(result, call_->out, token, head);
  if (call_->lse) {
    call_->lse[token * call_->q.heads + head] =
        nothing ? kMinusInfinity : row_maximum_[row] + std::log(row_sum_[row]);
  }
}

}  // namespace thriftattn::engine
