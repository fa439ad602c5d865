// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What append stores, and the law that the way of appending leaves no trace.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "kv/cache_tokens.h"
#include "oracle/formats_f64.h"

namespace thriftattn {
namespace {

using testing::contents;
using testing::kTestHeadDim;
using testing::kTestKvHeads;
using testing::Tokens;

constexpr std::int64_t kTokens = 200;  // three full blocks and eight tokens

TEST(Append, StoresTheRowsAndSealsFullBlocksOnly) {
  const Tokens tokens = Tokens::gaussian(kTokens, 1);
  PagedKvCache cache = testing::make_cache(8);
  const SequenceId sequence = testing::add_sequence(cache);
  ASSERT_TRUE(tokens.append(cache, sequence, 0, kTokens).ok());
  EXPECT_EQ(cache.length(sequence).value(), kTokens);
  EXPECT_EQ(cache.free_pages(), 4);
  const auto table = cache.block_table(sequence);
  ASSERT_EQ(table.size(), 4u);
  for (std::int64_t token = 0; token < kTokens; ++token) {
    const std::int32_t page = table[token / kBlockTokens];
    for (int head = 0; head < kTestKvHeads; ++head) {
      const auto k = oracle::decode_rows(cache.k_rows(page, head), kTestHeadDim);
      const auto v = oracle::decode_rows(cache.v_rows(page, head), kTestHeadDim);
      for (int d = 0; d < kTestHeadDim; ++d) {
        const std::int64_t from = (token * kTestKvHeads + head) * kTestHeadDim + d;
        ASSERT_EQ(k[(token % kBlockTokens) * kTestHeadDim + d], tokens.k[from]);
        ASSERT_EQ(v[(token % kBlockTokens) * kTestHeadDim + d], tokens.v[from]);
      }
    }
  }
  for (int block = 0; block < 3; ++block) {
    EXPECT_EQ(cache.store().state(table[block]), BlockStore::State::kSealed);
    EXPECT_EQ(cache.store().generation(table[block]), 1u);
  }
  EXPECT_EQ(cache.store().state(table[3]), BlockStore::State::kOpen);
}

TEST(Append, TilesAreThoseOfABlockStoreOverTheSameRows) {
  const Tokens tokens = Tokens::gaussian(128, 2);
  for (const Numerics& numerics : testing::all_numerics()) {
    PagedKvCache cache = testing::make_cache(2, numerics);
    const SequenceId sequence = testing::add_sequence(cache);
    ASSERT_TRUE(tokens.append(cache, sequence, 0, 128).ok());
    BlockStore store = testing::make_store(kTestHeadDim, numerics);
    for (const std::int32_t page : cache.block_table(sequence)) {
      std::vector<RowsView> k;
      std::vector<RowsView> v;
      for (int head = 0; head < kTestKvHeads; ++head) {
        k.push_back(cache.k_rows(page, head));
        v.push_back(cache.v_rows(page, head));
      }
      ASSERT_TRUE(store.seal(0, k, v).ok());
      for (int head = 0; head < kTestKvHeads; ++head) {
        EXPECT_EQ(testing::stored_bytes(store, 0, head),
                  testing::stored_bytes(cache.store(), page, head));
      }
    }
  }
}

TEST(Append, AnyWayOfAppendingGivesTheSameBytes) {
  const Tokens tokens = Tokens::gaussian(kTokens, 3);
  PagedKvCache whole = testing::make_cache(8);
  const SequenceId reference = testing::add_sequence(whole);
  ASSERT_TRUE(tokens.append(whole, reference, 0, kTokens).ok());
  const auto want = contents(whole, reference);

  for (const std::int64_t step : {1, 7, 63, 64, 65, 128}) {
    PagedKvCache cache = testing::make_cache(8);
    const SequenceId sequence = testing::add_sequence(cache);
    for (std::int64_t begin = 0; begin < kTokens; begin += step) {
      ASSERT_TRUE(tokens.append(cache, sequence, begin, std::min(begin + step, kTokens)).ok());
    }
    EXPECT_EQ(contents(cache, sequence), want) << "steps of " << step;
  }
}

TEST(Append, RaggedCompanyChangesNothing) {
  const std::vector<std::int64_t> lengths = {200, 1, 64, 130};
  std::vector<Tokens> tokens;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    tokens.push_back(Tokens::gaussian(lengths[i], static_cast<unsigned>(10 + i)));
  }
  PagedKvCache cache = testing::make_cache(16);
  std::vector<SequenceId> sequences;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    sequences.push_back(testing::add_sequence(cache));
  }
  std::mt19937 random(5);
  std::vector<std::int64_t> done(lengths.size(), 0);
  while (done != lengths) {
    Tokens call;
    std::vector<std::int64_t> offsets = {0};
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const std::int64_t most = std::min<std::int64_t>(40, lengths[i] - done[i]);
      const std::int64_t n = std::uniform_int_distribution<std::int64_t>(0, most)(random);
      const std::int64_t values = kTestKvHeads * kTestHeadDim;
      const auto begin = done[i] * values;
      const auto end = (done[i] + n) * values;
      call.k.insert(call.k.end(), tokens[i].k.begin() + begin, tokens[i].k.begin() + end);
      call.v.insert(call.v.end(), tokens[i].v.begin() + begin, tokens[i].v.begin() + end);
      done[i] += n;
      offsets.push_back(offsets.back() + n);
    }
    ASSERT_TRUE(cache
                    .append(sequences, offsets, call.k_view(0, offsets.back()),
                            call.v_view(0, offsets.back()))
                    .ok());
  }
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    PagedKvCache alone = testing::make_cache(4);
    const SequenceId sequence = testing::add_sequence(alone);
    ASSERT_TRUE(tokens[i].append(alone, sequence, 0, lengths[i]).ok());
    EXPECT_EQ(contents(cache, sequences[i]), contents(alone, sequence)) << i;
  }
}

// The three element types of the same values, through strides that are not packed.
TEST(Append, TypesAndStridesThatHoldTheSameValuesGiveTheSameBytes) {
  constexpr std::int64_t kHeadStride = kTestHeadDim + 3;
  constexpr std::int64_t kTokenStride = kTestKvHeads * kHeadStride + 11;
  constexpr std::int64_t kCount = 70;
  Tokens tokens = Tokens::gaussian(kCount, 4);
  for (float& x : tokens.k) x = static_cast<float>(static_cast<int>(x * 16)) / 16;  // fits bfloat16
  for (float& x : tokens.v) x = static_cast<float>(static_cast<int>(x * 16)) / 16;
  std::vector<std::vector<std::uint8_t>> all;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const int bytes = dtype == DType::kF32 ? 4 : 2;
    std::vector<std::byte> memory[2];
    ConstTensorView views[2];
    for (int i = 0; i < 2; ++i) {
      memory[i].resize(kCount * kTokenStride * bytes, std::byte{0xff});
      const std::vector<float>& from = i == 0 ? tokens.k : tokens.v;
      for (std::size_t j = 0; j < from.size(); ++j) {
        const std::int64_t at = static_cast<std::int64_t>(j) / 64 * kTokenStride +
                                static_cast<std::int64_t>(j) / 32 % 2 * kHeadStride +
                                static_cast<std::int64_t>(j) % 32;
        const std::uint16_t bits =
            dtype == DType::kF16 ? oracle::encode_half(from[j]) : oracle::encode_bfloat16(from[j]);
        const void* source = dtype == DType::kF32 ? static_cast<const void*>(&from[j]) : &bits;
        std::memcpy(memory[i].data() + at * bytes, source, static_cast<std::size_t>(bytes));
      }
      views[i] = {memory[i].data(), dtype,        kCount,     kTestKvHeads,
                  kTestHeadDim,     kTokenStride, kHeadStride};
    }
    PagedKvCache cache = testing::make_cache(2);
    const SequenceId sequence = testing::add_sequence(cache);
    ASSERT_TRUE(cache.append(sequence, views[0], views[1]).ok());
    all.push_back(contents(cache, sequence));
  }
  EXPECT_EQ(all[0], all[1]);
  EXPECT_EQ(all[0], all[2]);
}

TEST(Append, NothingIsAValidAmount) {
  PagedKvCache cache = testing::make_cache(1);
  const SequenceId sequence = testing::add_sequence(cache);
  const Tokens tokens = Tokens::gaussian(1, 1);
  EXPECT_TRUE(tokens.append(cache, sequence, 0, 0).ok());
  const std::int64_t zero[] = {0};
  EXPECT_TRUE(cache.append({}, zero, tokens.k_view(0, 0), tokens.v_view(0, 0)).ok());
  EXPECT_EQ(cache.length(sequence).value(), 0);
  EXPECT_EQ(cache.free_pages(), 1);
}

}  // namespace
}  // namespace thriftattn
