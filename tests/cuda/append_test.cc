// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The device stores and seals what the host does, bit for bit, whatever the pieces.
#include <gtest/gtest.h>

#include <tuple>

#include "cuda/cache_pair.h"

namespace thriftattn::testing {
namespace {

constexpr DataKind kAllData[] = {DataKind::kGaussian, DataKind::kChannelOffsets, DataKind::kSink,
                                 DataKind::kNeedles, DataKind::kOutliers};

// Appends a problem's sequences to both caches in ragged calls that name several sequences each.
std::vector<SequenceId> fill(CachePair& pair, const Problem& problem, std::int64_t largest_piece,
                             std::uint64_t seed) {
  Random random(seed);
  std::vector<SequenceId> ids;
  for (std::size_t s = 0; s < problem.k.size(); ++s) ids.push_back(pair.add_sequence());
  std::vector<std::int64_t> done(ids.size(), 0);
  for (bool more = true; more;) {
    more = false;
    std::vector<SequenceId> named;
    std::vector<std::int64_t> offsets = {0};
    Tensor k = part_of(problem.k[0], 0, 0);
    Tensor v = k;
    for (std::size_t s = 0; s < ids.size(); ++s) {
      const std::int64_t left = problem.k[s].tokens - done[s];
      const std::int64_t piece = std::min(left, random.below(largest_piece + 1));
      more = more || left > 0;
      const Tensor new_k = part_of(problem.k[s], done[s], done[s] + piece);
      const Tensor new_v = part_of(problem.v[s], done[s], done[s] + piece);
      k.bytes.insert(k.bytes.end(), new_k.bytes.begin(), new_k.bytes.end());
      v.bytes.insert(v.bytes.end(), new_v.bytes.begin(), new_v.bytes.end());
      k.tokens = v.tokens = k.tokens + piece;
      named.push_back(ids[s]);
      offsets.push_back(offsets.back() + piece);
      done[s] += piece;
    }
    pair.append(named, offsets, k, v);
  }
  return ids;
}

Problem kv_problem(int head_dim, int kv_heads, DataKind data, const Numerics& numerics) {
  return make_problem({.head_dim = head_dim,
                       .kv_heads = kv_heads,
                       .sequences = {{200, 0}, {64, 0}, {1, 0}, {131, 0}},
                       .data = data,
                       .numerics = numerics});
}

class Append : public OnDevice,
               public ::testing::WithParamInterface<std::tuple<int, bool, HighTier>> {
 protected:
  [[nodiscard]] PairConfig config() const {
    PairConfig config;
    config.head_dim = std::get<0>(GetParam());
    config.numerics = std::get<1>(GetParam()) ? Numerics::plain() : Numerics{};
    config.high_tier = std::get<2>(GetParam());
    return config;
  }
};

TEST_P(Append, RaggedPiecesGiveTheHostsValues) {
  for (const DataKind data : kAllData) {
    for (const std::int64_t piece : {16, 90}) {
      SCOPED_TRACE(name_of(data) + ", pieces up to " + std::to_string(piece));
      PairConfig c = config();
      c.kv_heads = piece == 16 ? 3 : 1;
      CachePair pair(c);
      pair.shuffle_pages(5);
      const auto ids = fill(pair, kv_problem(c.head_dim, c.kv_heads, data, c.numerics), piece, 11);
      pair.expect_same(ids);
      if (HasFailure()) return;
    }
  }
}

TEST_P(Append, ChannelBoundsAreKeptWhereAskedFor) {
  PairConfig c = config();
  c.channel_bounds = true;
  CachePair pair(c);
  const auto ids =
      fill(pair, kv_problem(c.head_dim, c.kv_heads, DataKind::kOutliers, c.numerics), 40, 3);
  pair.expect_same(ids);
}

TEST_P(Append, HighTierInPinnedHostMemoryIsTheSame) {
  PairConfig c = config();
  c.residence = Residence::kPinnedHost;
  CachePair pair(c);
  const auto ids =
      fill(pair, kv_problem(c.head_dim, c.kv_heads, DataKind::kNeedles, c.numerics), 30, 9);
  pair.expect_same(ids);
}

INSTANTIATE_TEST_SUITE_P(Numerics, Append,
                         ::testing::Combine(::testing::Values(64, 128, 256), ::testing::Bool(),
                                            ::testing::ValuesIn(kBothTiers)),
                         [](const auto& shape) {
                           return std::to_string(std::get<0>(shape.param)) +
                                  (std::get<1>(shape.param) ? "Plain" : "Default") +
                                  name_of(std::get<2>(shape.param));
                         });

class AppendOnce : public OnHighTier {
 protected:
  [[nodiscard]] static PairConfig config() { return {.high_tier = GetParam()}; }
};

TEST_P(AppendOnce, EveryMixOfNumerics) {
  for (const ScaleRule rule : {ScaleRule::kFourOverSix, ScaleRule::kNearest}) {
    for (const bool centre : {true, false}) {
      for (const bool norms : {true, false}) {
        PairConfig c = config();
        c.numerics = {rule, centre, norms};
        CachePair pair(c);
        const auto problem = kv_problem(64, c.kv_heads, DataKind::kOutliers, c.numerics);
        pair.expect_same(fill(pair, problem, 100, 2));
      }
    }
  }
}

// Zeros, the largest halves, subnormal halves and tokens many binades apart.
TEST_P(AppendOnce, ExtremeBlocks) {
  for (const Numerics& numerics : {Numerics{}, Numerics::plain()}) {
    CachePair pair({.head_dim = 128, .numerics = numerics, .high_tier = GetParam()});
    const SequenceId id = pair.add_sequence();
    Tensor k = random_rows(6 * 64, 2, 128, 8);
    Tensor v = random_rows(6 * 64, 2, 128, 9);
    for (std::int64_t i = 0; i < k.size(); ++i) {
      const std::int64_t token = i / (2 * 128);
      const double factors[] = {0, 0x1p-24, 1, 1, 1, 1};
      double x = factors[token / 64];
      if (token / 64 == 2) x = token % 3 == 0 ? 0 : 0x1p-10;
      if (token / 64 == 3) x = 0x1p-1 / static_cast<double>(1 + token % 64 * token % 64);
      if (token / 64 == 4) x = token % 2 == 0 ? 0x1p12 : 0x1p-12;
      k.set(i, token / 64 == 5 ? (i % 3 == 0 ? -65504 : 65504) : k.get(i) * x);
      v.set(i, token / 64 == 5 ? (i % 5 == 0 ? -0.0 : 65504) : v.get(i) * x);
    }
    pair.append(id, converted(converted(k, DType::kF16), DType::kF32),
                converted(converted(v, DType::kF16), DType::kF32));
    pair.expect_same({id});
  }
}

TEST_P(AppendOnce, EveryTypeOfRows) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    CachePair pair(config());
    const SequenceId id = pair.add_sequence();
    Tensor k = random_rows(70, 2, 64, 21);
    for (std::int64_t i = 0; i < k.size(); ++i) k.set(i, k.get(i) * 1.001);  // no halves
    const Tensor rows = converted(k, dtype);
    pair.append(id, part_of(rows, 0, 5), part_of(rows, 0, 5));
    pair.append(id, part_of(rows, 5, 70), part_of(rows, 5, 70));
    pair.expect_same({id});
  }
}

TEST_P(AppendOnce, OneLongAppendIsManyShortOnes) {
  CachePair pair({.head_dim = 128, .pages = 64, .high_tier = GetParam()});
  const SequenceId whole = pair.add_sequence();
  const SequenceId pieces = pair.add_sequence();
  const Tensor k = random_rows(1000, 2, 128, 31);
  const Tensor v = random_rows(1000, 2, 128, 32);
  pair.append(whole, k, v);
  for (std::int64_t begin = 0, piece = 1; begin < k.tokens; begin += piece) {
    piece = std::min<std::int64_t>(1 + begin % 16, k.tokens - begin);
    pair.append(pieces, part_of(k, begin, begin + piece), part_of(v, begin, begin + piece));
  }
  pair.expect_same({whole, pieces});
}

TEST_P(AppendOnce, ManySequencesInOneCall) {
  CachePair pair({.kv_heads = 1, .pages = 80, .high_tier = GetParam()});
  std::vector<SequenceId> ids;
  std::vector<std::int64_t> offsets = {0};
  for (int i = 0; i < 40; ++i) {
    ids.push_back(pair.add_sequence());
    offsets.push_back(offsets.back() + (i % 5 == 4 ? 0 : 1 + i % 16));
  }
  const Tensor k = random_rows(offsets.back(), 1, 64, 41);
  for (int step = 0; step < 6; ++step) pair.append(ids, offsets, k, k);
  pair.expect_same(ids);
}

TEST_P(AppendOnce, FreedPagesAreUsedAgainInTheSameOrder) {
  CachePair pair({.pages = 8, .high_tier = GetParam()});
  const Tensor k = random_rows(200, 2, 64, 51);
  const SequenceId first = pair.add_sequence();
  const SequenceId second = pair.add_sequence();
  pair.append(first, k, k);
  pair.append(second, part_of(k, 0, 70), part_of(k, 0, 70));
  pair.free_sequence(first);
  const SequenceId third = pair.add_sequence();
  EXPECT_EQ(third, first);
  pair.append(third, part_of(k, 30, 40), part_of(k, 30, 40));
  pair.append(second, part_of(k, 70, 200), part_of(k, 70, 200));
  pair.expect_same({second, third});
}

// Every place at which an append can begin and end in its blocks: one that is filled and one that
// is begun share the rows of a nested sequence.
TEST_P(AppendOnce, EveryWayToCrossBlocks) {
  CachePair pair({.kv_heads = 1, .pages = 40, .high_tier = GetParam()});
  const Tensor k = random_rows(300, 1, 64, 55);
  const Tensor v = random_rows(300, 1, 64, 56);
  for (const std::int64_t before : {0, 1, 49, 55, 63, 64}) {
    for (const std::int64_t tokens : {1, 9, 15, 16, 17, 65, 127, 128, 200}) {
      SCOPED_TRACE(std::to_string(before) + " + " + std::to_string(tokens));
      const SequenceId id = pair.add_sequence();
      pair.append(id, part_of(k, 0, before), part_of(v, 0, before));
      pair.append(id, part_of(k, before, before + tokens), part_of(v, before, before + tokens));
      pair.append(id, part_of(k, 0, 1), part_of(v, 0, 1));
      pair.expect_same({id});
      if (HasFailure()) return;
      pair.free_sequence(id);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(HighTiers, AppendOnce, ::testing::ValuesIn(kBothTiers), name_of_param);

}  // namespace
}  // namespace thriftattn::testing
