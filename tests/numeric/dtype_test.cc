// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/dtype.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "numeric/bfloat16.h"
#include "numeric/half.h"

namespace thriftattn::numeric {
namespace {

constexpr DType kAll[] = {DType::kF32, DType::kF16, DType::kBF16};

std::uint16_t encode(DType dtype, float x) {
  return dtype == DType::kF16 ? float_to_half(x).bits : float_to_bfloat16(x);
}

// [2 tokens, 3 heads, 16] with strides larger than packed, from an address that fits no type.
TEST(Dtype, RowsAreFoundByStrideAndDecodedFromAnyAddress) {
  constexpr int kDim = 16;
  constexpr std::int64_t kHeadStride = 20;
  constexpr std::int64_t kTokenStride = 70;
  for (const DType dtype : kAll) {
    std::vector<std::byte> memory(4 * 2 * kTokenStride + 1, std::byte{0xff});
    ConstTensorView view{memory.data() + 1, dtype, 2, 3, kDim, kTokenStride, kHeadStride};
    for (std::int64_t i = 0; i < 2 * kTokenStride; ++i) {
      const auto x = static_cast<float>(i);  // small whole numbers: exact in every type
      const std::uint16_t bits = encode(dtype, x);
      std::byte* at = memory.data() + 1 + i * dtype_bytes(dtype);
      if (dtype == DType::kF32)
        std::memcpy(at, &x, 4);
      else
        std::memcpy(at, &bits, 2);
    }
    float row[kDim];
    decode_row(view, 1, 2, row);
    for (int d = 0; d < kDim; ++d) EXPECT_EQ(row[d], kTokenStride + 2 * kHeadStride + d);
  }
}

TEST(Dtype, NamesAndSizes) {
  EXPECT_STREQ(dtype_name(DType::kF32), "f32");
  EXPECT_STREQ(dtype_name(DType::kF16), "f16");
  EXPECT_STREQ(dtype_name(DType::kBF16), "bf16");
  EXPECT_EQ(dtype_bytes(DType::kF32), 4);
  EXPECT_EQ(dtype_bytes(DType::kF16), 2);
  EXPECT_EQ(dtype_bytes(DType::kBF16), 2);
  for (const DType dtype : kAll) EXPECT_TRUE(is_known(dtype));
  const auto unknown = static_cast<DType>(9);
  EXPECT_FALSE(is_known(unknown));
  EXPECT_STREQ(dtype_name(unknown), "unknown");
}

}  // namespace
}  // namespace thriftattn::numeric
