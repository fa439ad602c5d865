// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A CudaKvCache and a PagedKvCache that are given the same calls.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "cuda/common/device_buffer.h"
#include "support/problem.h"
#include "thriftattn/cuda.h"

namespace thriftattn::testing {

// Skips a test where there is no device to run it on.
class OnDevice : public ::testing::Test {
 protected:
  void SetUp() override;
};

std::string name_of(HighTier high_tier);
inline constexpr HighTier kBothTiers[] = {HighTier::kRows16, HighTier::kNested};

// A test for each high tier.
class OnHighTier : public OnDevice, public ::testing::WithParamInterface<HighTier> {};
inline std::string name_of_param(const ::testing::TestParamInfo<HighTier>& info) {
  return name_of(info.param);
}

struct DeviceRows {
  cuda::DeviceBuffer<std::byte> memory;
  ConstTensorView view;  // of tensor's shape and strides, in device memory
};
// `tensor`'s rows on the device, `gap` elements apart.
DeviceRows upload(const Tensor& tensor, int gap = 0);
// Tokens [begin, end) of a view.
ConstTensorView slice(const ConstTensorView& view, std::int64_t begin, std::int64_t end);

struct PairConfig {
  int head_dim = 64;
  int kv_heads = 2;
  std::int64_t pages = 32;
  Numerics numerics = {};
  bool channel_bounds = false;
  HighTier high_tier = HighTier::kRows16;
  Residence residence = Residence::kDevice;
};

struct CachePair {
  explicit CachePair(const PairConfig& config);

  // The same id from both.
  SequenceId add_sequence();
  void free_sequence(SequenceId sequence);
  // Takes and gives back pages so that those to come lie in no order.
  void shuffle_pages(std::uint64_t seed);
  // Appends to both. The device gets V with gaps between its rows.
  void append(const std::vector<SequenceId>& sequences, const std::vector<std::int64_t>& offsets,
              const Tensor& k, const Tensor& v);
  void append(SequenceId sequence, const Tensor& k, const Tensor& v);

  // Lengths, block tables, free pages, rows, tiles, residuals and summaries of these sequences, bit
  // for bit; slots without a token are zero on the device.
  void expect_same(const std::vector<SequenceId>& sequences) const;

  CudaKvCache device;
  PagedKvCache host;
};

// Gaussian rows of half values, F32. K and V of append tests.
Tensor random_rows(std::int64_t tokens, int kv_heads, int head_dim, std::uint64_t seed);
// Tokens [begin, end) as a tensor of its own.
Tensor part_of(const Tensor& tensor, std::int64_t begin, std::int64_t end);
// Values rounded to another type.
Tensor converted(const Tensor& tensor, DType dtype);

// Every block of sequence `i` of two sources. `used` tokens are in it.
void expect_same_blocks(const KvSource& device, const KvSource& host, int i, std::int64_t used);

}  // namespace thriftattn::testing
