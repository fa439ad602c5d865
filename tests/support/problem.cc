// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "support/problem.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <stdexcept>

#include "oracle/formats_f64.h"

namespace thriftattn::testing {
namespace {

double to_half(double x) { return oracle::decode_half(oracle::encode_half(x)); }

void require(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}

// One sequence's K and V, [kv_len, kv_heads, head_dim].
void fill_kv(const ProblemShape& shape, Random& random, Tensor& k, Tensor& v) {
  const int head_dim = shape.head_dim;
  std::vector<double> offset(static_cast<std::size_t>(shape.kv_heads * head_dim), 0.0);
  std::vector<double> gain(offset.size(), 1.0);
  for (std::size_t i = 0; i < offset.size(); ++i) {
    if (shape.data == DataKind::kChannelOffsets && i % 11 == 3) offset[i] = 6 * random.gaussian();
    if (shape.data == DataKind::kOutliers && i % 13 == 5) gain[i] = 40;
  }
  for (std::int64_t t = 0; t < k.tokens; ++t) {
    double v_gain = 1;
    if (shape.data == DataKind::kOutliers && random.below(37) == 0) v_gain = 500;
    if (shape.data == DataKind::kSink && t == 0) v_gain = 1e-3;
    for (std::size_t i = 0; i < offset.size(); ++i) {
      const auto at = t * static_cast<std::int64_t>(offset.size()) + static_cast<std::int64_t>(i);
      double key = offset[i] + gain[i] * random.gaussian();
      // Every query of these kinds has channel 0 at 4 (fill_q): the sink's logit stands out.
      if (shape.data == DataKind::kSink && t == 0)
        key = i % head_dim == 0 ? 2.5 * head_dim / 8 : 0.1;
      if (shape.data == DataKind::kRising && i % head_dim == 0) {
        key = 100 * std::sqrt(head_dim) * static_cast<double>(t) / static_cast<double>(k.tokens);
      }
      if (shape.data == DataKind::kEqualBlocks && t >= kBlockTokens) {
        key = k.get(at - kBlockTokens * static_cast<std::int64_t>(offset.size()));
      }
      k.set(at, to_half(key));
      v.set(at, to_half(v_gain * random.gaussian()));
    }
  }
}

void fill_q(const Problem& problem, int sequence, Random& random, Tensor& q) {
  const ProblemShape& shape = problem.shape;
  const int head_dim = shape.head_dim;
  const Tensor& k = problem.k[sequence];
  for (std::int64_t i = 0; i < problem.q_len(sequence); ++i) {
    const std::int64_t position = k.tokens - problem.q_len(sequence) + i;
    for (int h = 0; h < shape.q_heads(); ++h) {
      const std::int64_t needle = position >= 0 ? random.below(position + 1) : 0;
      for (int d = 0; d < head_dim; ++d) {
        double x = random.gaussian();
        if (shape.data == DataKind::kNeedles && position >= 0) {
          x = 0.7 * x + 0.8 * k.get((needle * shape.kv_heads + h / shape.group) * head_dim + d);
        }
        const bool leads = shape.data == DataKind::kSink || shape.data == DataKind::kRising;
        if (leads && d == 0) x = 4;
        if (shape.data == DataKind::kOutliers) x *= 0.3;
        q.set(((problem.q_offsets[sequence] + i) * shape.q_heads() + h) * head_dim + d, x);
      }
    }
  }
}

// Takes and frees pages so that the free list is in no order.
void churn(PagedKvCache& cache, const ProblemShape& shape, Random& random) {
  std::vector<SequenceId> passing;
  const std::int64_t pages = cache.free_pages();
  const Tensor token = Tensor::make(DType::kF32, 1, shape.kv_heads, shape.head_dim);
  for (std::int64_t i = 0; i < pages; ++i) {
    const Result<SequenceId> id = cache.add_sequence();
    require(id.status());
    require(cache.append(id.value(), token.view(), token.view()));
    passing.push_back(id.value());
  }
  while (!passing.empty()) {
    const auto i = random.below(static_cast<std::int64_t>(passing.size()));
    require(cache.free_sequence(passing[i]));
    passing.erase(passing.begin() + i);
  }
}

void fill_slots(const RowsView& rows, std::int64_t used, int head_dim, half_t value) {
  if (rows.data == nullptr) return;
  for (std::int64_t t = used; t < kBlockTokens; ++t) {
    // The cache owns this memory and never made it const; no public way leads to an unused slot.
    auto* row = reinterpret_cast<half_t*>(static_cast<char*>(const_cast<void*>(rows.data)) +
                                          t * rows.stride_bytes);
    std::fill_n(row, head_dim, value);
  }
}

}  // namespace

std::uint64_t Random::next() {
  std::uint64_t x = (state_ += 0x9e3779b97f4a7c15u);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

double Random::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

double Random::gaussian() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

Problem make_problem(const ProblemShape& shape) {
  Problem problem;
  problem.shape = shape;
  problem.q_offsets.push_back(0);
  for (const SequenceShape& s : shape.sequences) {
    problem.q_offsets.push_back(problem.q_offsets.back() + s.q_len);
    problem.k.push_back(Tensor::make(DType::kF32, s.kv_len, shape.kv_heads, shape.head_dim));
    problem.v.push_back(problem.k.back());
  }
  problem.q =
      Tensor::make(shape.q_dtype, problem.q_offsets.back(), shape.q_heads(), shape.head_dim);
  for (int s = 0; s < static_cast<int>(shape.sequences.size()); ++s) {
    Random random(shape.seed * 1000 + static_cast<std::uint64_t>(s));
    fill_kv(shape, random, problem.k[s], problem.v[s]);
    fill_q(problem, s, random, problem.q);
  }
  return problem;
}

Problem only_sequence(const Problem& problem, int sequence) {
  Problem alone;
  alone.shape = problem.shape;
  alone.shape.sequences = {problem.shape.sequences[sequence]};
  alone.k = {problem.k[sequence]};
  alone.v = {problem.v[sequence]};
  alone.q_offsets = {0, problem.q_len(sequence)};
  alone.q = Tensor::make(problem.q.dtype, problem.q_len(sequence), problem.q.heads, problem.q.dim);
  const std::int64_t skip = problem.q_offsets[sequence] * problem.q.heads * problem.q.dim;
  for (std::int64_t i = 0; i < alone.q.size(); ++i) alone.q.set(i, problem.q.get(skip + i));
  return alone;
}

FilledCache fill_cache(const Problem& problem, const FillOptions& options) {
  const ProblemShape& shape = problem.shape;
  std::int64_t pages = options.spare_pages;
  for (const Tensor& k : problem.k) pages += (k.tokens + kBlockTokens - 1) / kBlockTokens;
  Result<PagedKvCache> created = PagedKvCache::create({.kv_heads = shape.kv_heads,
                                                       .head_dim = shape.head_dim,
                                                       .pages = pages,
                                                       .numerics = shape.numerics,
                                                       .channel_bounds = shape.channel_bounds,
                                                       .high_tier = shape.high_tier});
  require(created.status());
  FilledCache filled{std::move(created.value()), {}};
  Random random(options.seed);
  if (options.shuffled) churn(filled.cache, shape, random);
  std::vector<std::int64_t> done(problem.k.size(), 0);
  for (std::size_t s = 0; s < problem.k.size(); ++s) {
    const Result<SequenceId> id = filled.cache.add_sequence();
    require(id.status());
    filled.sequences.push_back(id.value());
  }
  for (bool more = true; more;) {
    more = false;
    for (std::size_t s = 0; s < problem.k.size(); ++s) {
      const std::int64_t left = problem.k[s].tokens - done[s];
      if (left == 0) continue;
      std::int64_t piece = options.piece > 0 ? options.piece : 1 + random.below(150);
      piece = options.shuffled ? std::min(piece, left) : left;
      require(filled.cache.append(filled.sequences[s], problem.k[s].slice(done[s], done[s] + piece),
                                  problem.v[s].slice(done[s], done[s] + piece)));
      done[s] += piece;
      more = true;
    }
  }
  fill_unused(filled, half_t{0x7e00});
  return filled;
}

void fill_unused(FilledCache& filled, half_t value) {
  PagedKvCache& cache = filled.cache;
  std::vector<std::int64_t> used(static_cast<std::size_t>(cache.config().pages), 0);
  for (const SequenceId id : filled.sequences) {
    std::int64_t left = cache.length(id).value();
    for (const std::int32_t page : cache.block_table(id)) {
      used[page] = std::min<std::int64_t>(left, kBlockTokens);
      left -= used[page];
    }
  }
  for (std::int32_t page = 0; page < cache.config().pages; ++page) {
    for (int h = 0; h < cache.config().kv_heads; ++h) {
      fill_slots(cache.k_rows(page, h), used[page], cache.config().head_dim, value);
      fill_slots(cache.v_rows(page, h), used[page], cache.config().head_dim, value);
    }
  }
}

}  // namespace thriftattn::testing
