// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/cache_pair.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "cuda/cache/snapshot.h"

namespace thriftattn::testing {
namespace {

void require(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}

template <class T>
T require(Result<T> result) {
  require(result.status());
  return std::move(result.value());
}

CudaKvCacheConfig device_config(const PairConfig& config) {
  return {.kv_heads = config.kv_heads,
          .head_dim = config.head_dim,
          .pages = config.pages,
          .max_sequences = 40,
          .max_tokens = 64 * config.pages,
          .numerics = config.numerics,
          .channel_bounds = config.channel_bounds,
          .high_tier = config.high_tier,
          .residence = config.residence};
}

PagedKvCacheConfig host_config(const PairConfig& config) {
  return {.kv_heads = config.kv_heads,
          .head_dim = config.head_dim,
          .pages = config.pages,
          .numerics = config.numerics,
          .channel_bounds = config.channel_bounds,
          .high_tier = config.high_tier};
}

template <class T>
::testing::AssertionResult same(const T* a, const T* b, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::memcmp(a + i, b + i, sizeof(T)) != 0) {
      return ::testing::AssertionFailure() << "element " << i << " of " << count << " differs";
    }
  }
  return ::testing::AssertionSuccess();
}

const half_t* row_of(const RowsView& rows, std::int64_t token) {
  return reinterpret_cast<const half_t*>(static_cast<const std::byte*>(rows.data) +
                                         token * rows.stride_bytes);
}

void expect_same_rows(const RowsView& device, const RowsView& host, std::int64_t used,
                      int head_dim) {
  ASSERT_EQ(device.data == nullptr, host.data == nullptr);
  if (host.data == nullptr) return;
  const std::vector<half_t> zeros(static_cast<std::size_t>(head_dim));
  for (std::int64_t t = 0; t < kBlockTokens; ++t) {
    const half_t* want = t < used ? row_of(host, t) : zeros.data();
    ASSERT_TRUE(same(row_of(device, t), want, head_dim)) << "token " << t;
  }
}

void expect_same_panel(const char* name, const Nvfp4Panel& device, const Nvfp4Panel& host) {
  SCOPED_TRACE(name);
  ASSERT_EQ(device.contraction, host.contraction);
  ASSERT_EQ(device.lanes, host.lanes);
  EXPECT_TRUE(same(device.codes, host.codes, host.contraction / 8 * host.lanes)) << "codes";
  EXPECT_TRUE(same(device.scales, host.scales, host.contraction / 16 * host.lanes)) << "scales";
}

void expect_same_sealed(const BlockView& device, const BlockView& host, int head_dim) {
  expect_same_panel("k", device.low.k, host.low.k);
  expect_same_panel("v", device.low.v, host.low.v);
  ASSERT_EQ(device.nested(), host.nested());
  if (host.nested()) {
    expect_same_panel("residual of k", device.residual.k, host.residual.k);
    expect_same_panel("residual of v", device.residual.v, host.residual.v);
    EXPECT_EQ(device.residual.k_exponent, host.residual.k_exponent);
  }
  EXPECT_TRUE(same(device.low.k_mean, host.low.k_mean, head_dim)) << "mean of the tile";
  EXPECT_EQ(device.low.k_exponent, host.low.k_exponent);
  EXPECT_TRUE(same(device.low.v_exponents, host.low.v_exponents, kBlockTokens)) << "v exponents";
  EXPECT_TRUE(same(device.summary.block_mean, host.summary.block_mean, head_dim)) << "block mean";
  ASSERT_EQ(device.summary.min_k != nullptr, host.summary.min_k != nullptr);
  if (host.summary.min_k == nullptr) return;
  EXPECT_TRUE(same(device.summary.min_k, host.summary.min_k, head_dim)) << "min";
  EXPECT_TRUE(same(device.summary.max_k_channel, host.summary.max_k_channel, head_dim)) << "max";
}

}  // namespace

void OnDevice::SetUp() {
  const Result<std::vector<CudaDevice>> devices = list_cuda_devices();
  if (!devices.ok()) GTEST_SKIP() << devices.status().message();
  if (devices.value().empty()) GTEST_SKIP() << "this machine has no CUDA device";
  if (!devices.value()[0].supported) {
    GTEST_SKIP() << devices.value()[0].name << ": no kernels for it in this build";
  }
}

std::string name_of(HighTier high_tier) {
  return high_tier == HighTier::kNested ? "Nested" : "Rows16";
}

DeviceRows upload(const Tensor& tensor, int gap) {
  const auto bytes = static_cast<std::size_t>(tensor.dtype == DType::kF32 ? 4 : 2);
  const auto row = static_cast<std::size_t>(tensor.dim) * bytes;
  const std::size_t stride = row + static_cast<std::size_t>(gap) * bytes;
  const auto rows = static_cast<std::size_t>(tensor.tokens * tensor.heads);
  // What lies between rows is NaN in every type.
  std::vector<std::byte> apart(rows * stride + 4, std::byte{0xff});
  for (std::size_t i = 0; i < rows; ++i) {
    std::copy_n(tensor.bytes.data() + i * row, row, apart.data() + i * stride);
  }
  DeviceRows device;
  require(device.memory.allocate(static_cast<std::int64_t>(apart.size()), "rows"));
  require(cuda::to_status(
      cudaMemcpy(device.memory.data(), apart.data(), apart.size(), cudaMemcpyHostToDevice),
      "rows"));
  device.view = tensor.view();
  device.view.data = device.memory.data();
  device.view.head_stride = tensor.dim + gap;
  device.view.token_stride = tensor.heads * device.view.head_stride;
  return device;
}

ConstTensorView slice(const ConstTensorView& view, std::int64_t begin, std::int64_t end) {
  ConstTensorView part = view;
  const int bytes = view.dtype == DType::kF32 ? 4 : 2;
  part.data = static_cast<const std::byte*>(view.data) + begin * view.token_stride * bytes;
  part.tokens = end - begin;
  return part;
}

CachePair::CachePair(const PairConfig& config)
    : device(require(CudaKvCache::create(device_config(config)))),
      host(require(PagedKvCache::create(host_config(config)))) {}

SequenceId CachePair::add_sequence() {
  const SequenceId id = require(device.add_sequence());
  EXPECT_EQ(id, require(host.add_sequence()));
  return id;
}

void CachePair::free_sequence(SequenceId sequence) {
  require(device.free_sequence(sequence));
  require(host.free_sequence(sequence));
}

void CachePair::shuffle_pages(std::uint64_t seed) {
  Random random(seed);
  const PagedKvCacheConfig& config = host.config();
  const Tensor token = random_rows(1, config.kv_heads, config.head_dim, seed);
  std::vector<SequenceId> passing;
  for (std::int64_t left = std::min<std::int64_t>(host.free_pages(), 30); left > 0; --left) {
    passing.push_back(add_sequence());
    append(passing.back(), token, token);
  }
  while (!passing.empty()) {
    const auto i = random.below(static_cast<std::int64_t>(passing.size()));
    free_sequence(passing[static_cast<std::size_t>(i)]);
    passing.erase(passing.begin() + i);
  }
}

void CachePair::append(const std::vector<SequenceId>& sequences,
                       const std::vector<std::int64_t>& offsets, const Tensor& k, const Tensor& v) {
  const DeviceRows device_k = upload(k);
  const DeviceRows device_v = upload(v, 3);
  require(device.append(sequences, offsets, device_k.view, device_v.view, {}));
  require(host.append(sequences, offsets, k.view(), v.view()));
}

void CachePair::append(SequenceId sequence, const Tensor& k, const Tensor& v) {
  append({sequence}, {0, k.tokens}, k, v);
}

void CachePair::expect_same(const std::vector<SequenceId>& sequences) const {
  const std::vector<std::int64_t> q_lens(sequences.size(), 0);
  const auto of_device = cuda::snapshot(device, sequences, q_lens, {});
  const auto of_host = host.source(sequences, q_lens);
  ASSERT_TRUE(of_device.ok()) << of_device.status().message();
  ASSERT_TRUE(of_host.ok()) << of_host.status().message();
  EXPECT_EQ(device.free_pages(), host.free_pages());
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    SCOPED_TRACE("sequence " + std::to_string(sequences[i]));
    const std::int64_t length = host.length(sequences[i]).value();
    EXPECT_EQ(device.length(sequences[i]).value(), length);
    const auto device_table = device.block_table(sequences[i]);
    const auto host_table = host.block_table(sequences[i]);
    EXPECT_TRUE(
        std::equal(device_table.begin(), device_table.end(), host_table.begin(), host_table.end()));
    expect_same_blocks(*of_device.value(), *of_host.value(), static_cast<int>(i), length);
  }
}

void expect_same_blocks(const KvSource& device, const KvSource& host, int i, std::int64_t used) {
  ASSERT_EQ(device.blocks(i), host.blocks(i));
  for (std::int64_t block = 0; block < host.blocks(i); ++block) {
    const std::int64_t tokens = std::min<std::int64_t>(used - block * kBlockTokens, kBlockTokens);
    for (int head = 0; head < host.kv_heads(); ++head) {
      SCOPED_TRACE("block " + std::to_string(block) + ", kv head " + std::to_string(head));
      const BlockView a = device.block(i, block, head);
      const BlockView b = host.block(i, block, head);
      expect_same_rows(a.k, b.k, tokens, host.head_dim());
      expect_same_rows(a.v, b.v, tokens, host.head_dim());
      ASSERT_EQ(a.sealed, b.sealed);
      if (b.sealed) expect_same_sealed(a, b, host.head_dim());
      if (::testing::Test::HasFailure()) return;  // one block says enough
    }
  }
}

Tensor random_rows(std::int64_t tokens, int kv_heads, int head_dim, std::uint64_t seed) {
  Random random(seed);
  Tensor rows = Tensor::make(DType::kF16, tokens, kv_heads, head_dim);
  for (std::int64_t i = 0; i < rows.size(); ++i) rows.set(i, random.gaussian());
  return converted(rows, DType::kF32);
}

Tensor part_of(const Tensor& tensor, std::int64_t begin, std::int64_t end) {
  Tensor part = Tensor::make(tensor.dtype, end - begin, tensor.heads, tensor.dim);
  if (end == begin) return part;
  std::memcpy(part.bytes.data(), tensor.slice(begin, end).data, part.bytes.size());
  return part;
}

Tensor converted(const Tensor& tensor, DType dtype) {
  Tensor other = Tensor::make(dtype, tensor.tokens, tensor.heads, tensor.dim);
  for (std::int64_t i = 0; i < tensor.size(); ++i) other.set(i, tensor.get(i));
  return other;
}

}  // namespace thriftattn::testing
