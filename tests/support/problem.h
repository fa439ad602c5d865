// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Attention problems: seeded data of several kinds, ragged sequences, and caches filled with it the
// awkward way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "thriftattn/attention.h"

namespace thriftattn::testing {

enum class DataKind : std::uint8_t {
  kGaussian,        // flat attention
  kChannelOffsets,  // K has a large constant in some channels, as real models do
  kSink,            // the first token takes most of the mass and has a tiny V
  kNeedles,         // each query points at one token
  kOutliers,        // a few K channels x 40, a few V tokens x 500
  kRising,          // the later a token, the larger its logit: by 400 in all
  kEqualBlocks,     // K of every block is that of the first
};

struct SequenceShape {
  std::int64_t kv_len = 0;
  std::int64_t q_len = 0;
};

struct ProblemShape {
  int head_dim = 64;
  int kv_heads = 1;
  int group = 1;
  std::vector<SequenceShape> sequences;
  DataKind data = DataKind::kNeedles;
  DType q_dtype = DType::kF32;
  std::uint64_t seed = 1;
  Numerics numerics = {};
  bool channel_bounds = false;
  HighTier high_tier = HighTier::kRows16;

  [[nodiscard]] int q_heads() const { return kv_heads * group; }
};

// An owned tensor [tokens, heads, dim], packed.
struct Tensor {
  std::vector<std::byte> bytes;
  DType dtype = DType::kF32;
  std::int64_t tokens = 0;
  int heads = 0;
  int dim = 0;

  static Tensor make(DType dtype, std::int64_t tokens, int heads, int dim);
  [[nodiscard]] std::int64_t size() const { return tokens * heads * dim; }
  [[nodiscard]] double get(std::int64_t i) const;
  void set(std::int64_t i, double value);  // rounded to nearest even
  [[nodiscard]] std::vector<double> values() const;
  [[nodiscard]] ConstTensorView view() const;
  // Tokens [begin, end).
  [[nodiscard]] ConstTensorView slice(std::int64_t begin, std::int64_t end) const;
  TensorView mutable_view();
};

struct Problem {
  ProblemShape shape;
  std::vector<Tensor> k, v;             // [sequences], F32 holding values that half can hold
  Tensor q;                             // [tokens, q_heads, head_dim], shape.q_dtype
  std::vector<std::int64_t> q_offsets;  // [sequences + 1]

  [[nodiscard]] std::int64_t kv_len(int sequence) const { return k[sequence].tokens; }
  [[nodiscard]] std::int64_t q_len(int sequence) const {
    return q_offsets[sequence + 1] - q_offsets[sequence];
  }
};

Problem make_problem(const ProblemShape& shape);
// The same data without the other sequences.
Problem only_sequence(const Problem& problem, int sequence);

struct FillOptions {
  // Appends in ragged pieces that alternate between the sequences, after short-lived sequences have
  // come and gone, so that pages lie in no order. false: each sequence in one append.
  bool shuffled = true;
  std::uint64_t seed = 7;
  std::int64_t piece = 0;  // tokens of each append where shuffled, 0 = random
  std::int64_t spare_pages = 3;
};

struct FilledCache {
  PagedKvCache cache;
  std::vector<SequenceId> sequences;
};

// Slots and pages that hold no token are filled with NaN afterwards, as far as they have rows.
FilledCache fill_cache(const Problem& problem, const FillOptions& options = {});
void fill_unused(FilledCache& filled, half_t value);

// A small counter-based generator: the same numbers with every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  double uniform();  // [0, 1)
  double gaussian();
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n));
  }

 private:
  std::uint64_t state_;
};

std::string name_of(DataKind kind);
std::string name_of(DType dtype);

}  // namespace thriftattn::testing
