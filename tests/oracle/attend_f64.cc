// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "oracle/attend_f64.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "oracle/formats_f64.h"

namespace thriftattn::oracle {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// K or V of a block in one tier, [64, head_dim], and the magnitudes of what it is the sum of.
struct Operand {
  std::vector<double> values, magnitudes;
  int dots = 0;

  void add(const std::vector<double>& part) {
    values.resize(part.size());
    magnitudes.resize(part.size());
    for (std::size_t i = 0; i < part.size(); ++i) {
      values[i] += part[i];
      magnitudes[i] += std::fabs(part[i]);
    }
    ++dots;
  }
};

struct DecodedBlock {
  bool sealed = false;
  bool nested = false;
  Operand low_k, low_v, high_k, high_v;
  double v_norms[kBlockTokens] = {};
};

// K of the low tier as mean and residual.
void add_parts(const LowTile& low, int head_dim, Operand& operand) {
  const std::vector<half_t> zeros(static_cast<std::size_t>(head_dim));
  LowTile residual = low;
  residual.k_mean = zeros.data();
  operand.add(decode_low_k(residual));
  std::vector<double> mean;
  for (int t = 0; t < kBlockTokens; ++t) {
    for (int d = 0; d < head_dim; ++d) mean.push_back(decode_half(low.k_mean[d].bits));
  }
  operand.add(mean);
}

// Decodes each block of each kv head once.
class Blocks {
 public:
  explicit Blocks(const Problem& problem)
      : source_(*problem.source), separate_means_(problem.separate_means) {}

  const DecodedBlock& get(int sequence, std::int64_t block, int kv_head) {
    const auto [it, is_new] = blocks_.try_emplace({sequence, block, kv_head});
    if (is_new) {
      const BlockView view = source_.block(sequence, block, kv_head);
      DecodedBlock& decoded = it->second;
      decoded.sealed = view.sealed;
      decoded.nested = view.nested();
      if (view.sealed) {
        if (separate_means_) {
          add_parts(view.low, source_.head_dim(), decoded.low_k);
        } else {
          decoded.low_k.add(decode_low_k(view.low));
        }
        decoded.low_v.add(decode_low_v(view.low));
        for (int t = 0; t < kBlockTokens; ++t) {
          decoded.v_norms[t] = decode_e8m0(view.low.v_exponents[t]);
        }
      }
      if (view.nested()) {
        decoded.high_k = decoded.low_k;
        decoded.high_v = decoded.low_v;
        decoded.high_k.add(decode_residual_k(view.residual));
        decoded.high_v.add(decode_residual_v(view.residual, view.low));
      } else {
        decoded.high_k.add(decode_rows(view.k, source_.head_dim()));
        decoded.high_v.add(decode_rows(view.v, source_.head_dim()));
      }
    }
    return it->second;
  }

 private:
  const KvSource& source_;
  bool separate_means_;
  std::map<std::tuple<int, std::int64_t, int>, DecodedBlock> blocks_;
};

// Token `row` of both operands.
Key make_key(std::span<const double> q, const Operand& k, const Operand& v, std::size_t row,
             double scale) {
  Key key;
  const std::size_t begin = row * q.size();
  for (std::size_t d = 0; d < q.size(); ++d) {
    key.score += q[d] * k.values[begin + d];
    key.score_abs += std::fabs(q[d]) * k.magnitudes[begin + d];
  }
  key.score *= scale;
  key.score_abs *= scale;
  key.v = &v.values[begin];
  key.v_abs = &v.magnitudes[begin];
  key.k_dots = k.dots;
  key.v_dots = v.dots;
  return key;
}

// The visible keys of one block, each in its tier.
void add_block(const Problem& problem, const DecodedBlock& block, unsigned fate, std::int64_t index,
               std::uint64_t mask, Row& row) {
  const bool forced = (fate & kFateForced) != 0 || !block.sealed;
  const bool high_k = forced || (fate & kFatePromotedK) != 0;
  const bool high_v = forced || (fate & kFatePromotedV) != 0;
  const Operand& k = high_k ? block.high_k : block.low_k;
  const Operand& v = high_v ? block.high_v : block.low_v;
  const int head_dim = problem.source->head_dim();
  const auto& from = high_k || problem.q_low.empty() ? problem.q : problem.q_low;
  const auto q = from.subspan((row.token * problem.q_heads + row.q_head) * head_dim, head_dim);
  for (int t = 0; t < kBlockTokens; ++t) {
    if ((mask >> t & 1) == 0) continue;
    Key key = make_key(q, k, v, static_cast<std::size_t>(t), problem.softmax_scale);
    key.block = index;
    key.slot = t;
    key.tail = (fate & kFateTail) != 0;
    key.v_norm = high_v ? 0.0 : block.v_norms[t];
    key.nested_norm = high_v && block.nested ? block.v_norms[t] : 0.0;
    row.keys.push_back(key);
  }
}

// Softmax and sums of a row whose keys are known.
void finish_row(Row& row, std::int64_t blocks, int head_dim) {
  double maximum = -kInfinity;
  for (const Key& key : row.keys) maximum = std::max(maximum, key.score);
  double total = 0;
  for (const Key& key : row.keys) total += std::exp(key.score - maximum);
  row.lse = row.keys.empty() ? -kInfinity : maximum + std::log(total);
  row.weights.clear();
  row.masses.assign(static_cast<std::size_t>(blocks), 0.0);
  row.out.assign(static_cast<std::size_t>(head_dim), 0.0);
  row.mass_tail = 0;
  double used = 0;
  for (const Key& key : row.keys) {
    const double weight = std::exp(key.score - row.lse);
    row.weights.push_back(weight);
    row.masses[key.block] += weight;
    if (key.tail) {
      row.mass_tail += weight;
      continue;
    }
    used += weight;
    for (int d = 0; d < head_dim; ++d) row.out[d] += weight * key.v[d];
  }
  for (double& x : row.out) x = used > 0 ? x / used : 0.0;
}

}  // namespace

void attend_f64(const Problem& problem, const AttendTrace& trace, const RowVisitor& visit) {
  const int head_dim = problem.source->head_dim();
  Blocks blocks(problem);
  Row row;
  for (const UnitTrace& unit : trace) {
    for (std::int64_t i = 0; i < unit.tokens * unit.q_heads; ++i) {
      const std::int64_t token = unit.first_token + i / unit.q_heads;
      row.token = problem.q_offsets[unit.sequence] + token;
      row.q_head = unit.first_q_head + static_cast<int>(i % unit.q_heads);
      row.keys.clear();
      for (std::int64_t b = 0; b < static_cast<std::int64_t>(unit.fate.size()); ++b) {
        const std::uint64_t mask = problem.source->visible(unit.sequence, token, b);
        if (mask == 0) continue;
        add_block(problem, blocks.get(unit.sequence, b, unit.kv_head), unit.fate[b], b, mask, row);
      }
      finish_row(row, static_cast<std::int64_t>(unit.fate.size()), head_dim);
      visit(row);
    }
  }
}

void attend_f64_original(const OriginalSequence& sequence, const RowVisitor& visit) {
  const int head_dim = sequence.head_dim;
  const auto q_len = static_cast<std::int64_t>(sequence.q.size()) / (sequence.q_heads * head_dim);
  const auto kv_len = static_cast<std::int64_t>(sequence.k.size()) / (sequence.kv_heads * head_dim);
  const int group = sequence.q_heads / sequence.kv_heads;
  Operand k, v;
  k.add({sequence.k.begin(), sequence.k.end()});
  v.add({sequence.v.begin(), sequence.v.end()});
  Row row;
  for (std::int64_t i = 0; i < q_len; ++i) {
    for (int h = 0; h < sequence.q_heads; ++h) {
      row.token = i;
      row.q_head = h;
      row.keys.clear();
      const auto q = sequence.q.subspan((i * sequence.q_heads + h) * head_dim, head_dim);
      for (std::int64_t j = 0; j <= kv_len - q_len + i; ++j) {
        const auto at = static_cast<std::size_t>(j * sequence.kv_heads + h / group);
        Key key = make_key(q, k, v, at, sequence.softmax_scale);
        key.block = j / kBlockTokens;
        key.slot = static_cast<int>(j % kBlockTokens);
        row.keys.push_back(key);
      }
      finish_row(row, (kv_len + kBlockTokens - 1) / kBlockTokens, head_dim);
      visit(row);
    }
  }
}

}  // namespace thriftattn::oracle
