// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A failing append names what is wrong and changes nothing.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kv/cache_tokens.h"
#include "oracle/formats_f64.h"

namespace thriftattn {
namespace {

using testing::kTestHeadDim;
using testing::kTestKvHeads;
using testing::Tokens;

// Two sequences of 60 and 10 tokens in a cache of 6 pages; calls append 10 + 70 more.
class AppendErrors : public ::testing::Test {
 protected:
  AppendErrors() : cache_(testing::make_cache(6)), tokens_(Tokens::gaussian(80, 1)) {
    for (const std::int64_t length : {60, 10}) {
      sequences_.push_back(testing::add_sequence(cache_));
      EXPECT_TRUE(tokens_.append(cache_, sequences_.back(), 0, length).ok());
    }
    before_ = state();
  }

  std::vector<std::vector<std::uint8_t>> state() const {
    std::vector<std::vector<std::uint8_t>> all;
    for (const SequenceId sequence : sequences_) {
      all.push_back(testing::contents(cache_, sequence));
    }
    return all;
  }

  Status append(std::vector<std::int64_t> offsets = {0, 10, 80}) {
    return cache_.append(sequences_, offsets, tokens_.k_view(0, 80), tokens_.v_view(0, 80));
  }

  void expect_rejected(const Status& status, StatusCode code,
                       const std::vector<std::string>& words = {}) {
    EXPECT_EQ(status.code(), code) << status.message();
    for (const std::string& word : words) {
      EXPECT_NE(status.message().find(word), std::string::npos)
          << "'" << word << "' is not in: " << status.message();
    }
    EXPECT_EQ(state(), before_);
    EXPECT_EQ(cache_.free_pages(), 4);
  }

  PagedKvCache cache_;
  Tokens tokens_;
  std::vector<SequenceId> sequences_;
  std::vector<std::vector<std::uint8_t>> before_;
};

std::size_t value_index(int token, int head, int d) {
  return static_cast<std::size_t>((token * kTestKvHeads + head) * kTestHeadDim + d);
}

TEST_F(AppendErrors, TheCallItselfIsFine) {
  EXPECT_TRUE(append().ok());
  EXPECT_EQ(cache_.length(sequences_[0]).value(), 70);
  EXPECT_EQ(cache_.length(sequences_[1]).value(), 80);
  EXPECT_EQ(cache_.free_pages(), 2);
}

TEST_F(AppendErrors, NonFiniteValuesAreNamed) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), infinity, -infinity}) {
    for (std::vector<float>* values : {&tokens_.k, &tokens_.v}) {
      float& slot = (*values)[value_index(79, 1, 31)];
      const float saved = slot;
      slot = bad;
      expect_rejected(append(), StatusCode::kInvalidArgument,
                      {values == &tokens_.k ? "k: " : "v: ", std::to_string(bad), "token 79",
                       "kv head 1", "dim 31"});
      slot = saved;
    }
  }
  EXPECT_TRUE(append().ok());
}

TEST_F(AppendErrors, ValuesBeyondHalfAreNamedAndTheLargestOnesAreNot) {
  float& slot = tokens_.v[value_index(3, 0, 5)];
  for (const float bad : {65520.0f, -65520.0f, 1e30f}) {
    slot = bad;
    expect_rejected(append(), StatusCode::kInvalidArgument,
                    {"v: ", "token 3", "kv head 0", "dim 5", "65504"});
  }
  slot = std::nextafter(65520.0f, 0.0f);  // rounds to 65504
  EXPECT_TRUE(append().ok());
  const auto rows =
      oracle::decode_rows(cache_.v_rows(cache_.block_table(sequences_[0])[0], 0), kTestHeadDim);
  EXPECT_EQ(rows[63 * kTestHeadDim + 5], 65504);
}

TEST_F(AppendErrors, NonFiniteHalvesAndBfloat16sAreRejectedToo) {
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(kTestKvHeads * kTestHeadDim), 0);
  const auto reject = [&](DType dtype, int bad) {
    bits[40] = static_cast<std::uint16_t>(bad);
    const auto view = ConstTensorView::packed(bits.data(), dtype, 1, kTestKvHeads, kTestHeadDim);
    expect_rejected(cache_.append(sequences_[0], view, view), StatusCode::kInvalidArgument,
                    {"kv head 1", "dim 8"});
  };
  for (const int bad : {0x7c00, 0xfc00, 0x7c01, 0x7e00}) reject(DType::kF16, bad);
  // inf, NaN, 65536
  for (const int bad : {0x7f80, 0x7fc0, 0x4780}) reject(DType::kBF16, bad);
}

TEST_F(AppendErrors, UnknownAndRepeatedSequences) {
  for (const SequenceId bad : {-1, 2, 1000, std::numeric_limits<SequenceId>::max()}) {
    const std::vector<SequenceId> saved = sequences_;
    sequences_[1] = bad;
    const Status status = append();
    sequences_ = saved;
    expect_rejected(status, StatusCode::kNotFound, {std::to_string(bad)});
  }
  const SequenceId twice[] = {sequences_[1], sequences_[1]};
  const std::int64_t offsets[] = {0, 10, 80};
  expect_rejected(cache_.append(twice, offsets, tokens_.k_view(0, 80), tokens_.v_view(0, 80)),
                  StatusCode::kInvalidArgument, {"twice"});
}

TEST_F(AppendErrors, OffsetsThatMakeNoSense) {
  expect_rejected(append({0, 90, 80}), StatusCode::kInvalidArgument, {"90", "80"});
  expect_rejected(append({0, -1, 80}), StatusCode::kInvalidArgument, {"-1"});
  expect_rejected(append({1, 10, 80}), StatusCode::kInvalidArgument, {"from 1"});
  expect_rejected(append({0, 10, 79}), StatusCode::kInvalidArgument, {"79", "80"});
  expect_rejected(append({0, 10, 81}), StatusCode::kInvalidArgument, {"81", "80"});
  expect_rejected(append({0, 80}), StatusCode::kInvalidArgument, {"2 values", "2 sequences"});
  expect_rejected(append({}), StatusCode::kInvalidArgument, {"0 values"});
}

TEST_F(AppendErrors, ShapesThatDoNotFit) {
  const auto reject = [&](const ConstTensorView& k, const ConstTensorView& v,
                          const std::vector<std::string>& words) {
    expect_rejected(cache_.append(sequences_[0], k, v), StatusCode::kInvalidArgument, words);
  };
  const ConstTensorView good = tokens_.k_view(0, 4);
  ConstTensorView bad = good;
  bad.heads = 3;
  reject(bad, good, {"k: shape [4, 3, 32]", "[tokens, 2, 32]"});
  bad = good;
  bad.dim = 64;
  reject(good, bad, {"v: shape [4, 2, 64]"});
  bad = good;
  bad.tokens = -4;
  reject(bad, bad, {"-4"});
  bad = good;
  bad.tokens = 3;
  reject(good, bad, {"4 tokens", "3"});
  bad = good;
  bad.data = nullptr;
  reject(good, bad, {"v", "nullptr"});
  bad = good;
  bad.dtype = static_cast<DType>(7);
  reject(bad, good, {"k", "dtype 7"});
}

TEST_F(AppendErrors, TooFewPages) {
  const Tokens many = Tokens::gaussian(400, 2);
  // 60 + 260 tokens fill 5 pages, 4 more than the sequence has: just enough.
  expect_rejected(many.append(cache_, sequences_[0], 0, 261), StatusCode::kOutOfMemory,
                  {"needs 5 pages", "4 of 6 are free"});
  EXPECT_TRUE(many.append(cache_, sequences_[0], 0, 260).ok());
  EXPECT_EQ(cache_.free_pages(), 0);
}

TEST_F(AppendErrors, PagesAreCountedOverAllSequences) {
  const Tokens many = Tokens::gaussian(400, 2);
  // 3 pages for one and 2 for the other.
  const std::int64_t offsets[] = {0, 190, 370};
  expect_rejected(cache_.append(sequences_, offsets, many.k_view(0, 370), many.v_view(0, 370)),
                  StatusCode::kOutOfMemory, {"needs 5 pages"});
}

}  // namespace
}  // namespace thriftattn
