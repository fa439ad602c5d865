// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstring>

#include "oracle/formats_f64.h"
#include "support/problem.h"

namespace thriftattn::testing {
namespace {

std::size_t element_bytes(DType dtype) { return dtype == DType::kF32 ? 4 : 2; }

}  // namespace

Tensor Tensor::make(DType dtype, std::int64_t tokens, int heads, int dim) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.tokens = tokens;
  tensor.heads = heads;
  tensor.dim = dim;
  tensor.bytes.resize(static_cast<std::size_t>(tensor.size()) * element_bytes(dtype));
  return tensor;
}

double Tensor::get(std::int64_t i) const {
  const std::byte* at = bytes.data() + static_cast<std::size_t>(i) * element_bytes(dtype);
  if (dtype == DType::kF32) {
    float x = 0;
    std::memcpy(&x, at, sizeof x);
    return x;
  }
  std::uint16_t x = 0;
  std::memcpy(&x, at, sizeof x);
  return dtype == DType::kF16 ? oracle::decode_half(x) : oracle::decode_bfloat16(x);
}

void Tensor::set(std::int64_t i, double value) {
  std::byte* at = bytes.data() + static_cast<std::size_t>(i) * element_bytes(dtype);
  if (dtype == DType::kF32) {
    const auto x = static_cast<float>(value);
    std::memcpy(at, &x, sizeof x);
    return;
  }
  const std::uint16_t x =
      dtype == DType::kF16 ? oracle::encode_half(value) : oracle::encode_bfloat16(value);
  std::memcpy(at, &x, sizeof x);
}

std::vector<double> Tensor::values() const {
  std::vector<double> x(static_cast<std::size_t>(size()));
  for (std::int64_t i = 0; i < size(); ++i) x[i] = get(i);
  return x;
}

ConstTensorView Tensor::view() const { return slice(0, tokens); }

ConstTensorView Tensor::slice(std::int64_t begin, std::int64_t end) const {
  const std::size_t skip = static_cast<std::size_t>(begin * heads * dim) * element_bytes(dtype);
  return ConstTensorView::packed(bytes.data() + skip, dtype, end - begin, heads, dim);
}

TensorView Tensor::mutable_view() {
  return TensorView::packed(bytes.data(), dtype, tokens, heads, dim);
}

std::string name_of(DataKind kind) {
  switch (kind) {
    case DataKind::kGaussian:
      return "gaussian";
    case DataKind::kChannelOffsets:
      return "channel_offsets";
    case DataKind::kSink:
      return "sink";
    case DataKind::kNeedles:
      return "needles";
    case DataKind::kOutliers:
      return "outliers";
    case DataKind::kRising:
      return "rising";
    case DataKind::kEqualBlocks:
      return "equal_blocks";
  }
  return "?";
}

std::string name_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
  }
  return "?";
}

}  // namespace thriftattn::testing
