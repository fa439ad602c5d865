// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "bench_ggml.h"

#include <ggml-alloc.h>
#include <ggml-cpu.h>

#include <cmath>

#include "error.h"

namespace thriftattn::cli {

GgmlPeer::GgmlPeer(const Shape& shape, const SyntheticData& data, std::int64_t kv_len, int batch,
                   int layers, int threads)
    : shape_(shape), kv_len_(kv_len), batch_(batch) {
  backend_ = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);
  if (backend_ == nullptr) throw failure("ggml has no CPU backend");
  ggml_backend_cpu_set_n_threads(backend_, threads);

  const auto tensors = static_cast<std::size_t>(8 + layers * 8);
  context_ = ggml_init(
      {.mem_size = tensors * ggml_tensor_overhead() + ggml_graph_overhead_custom(tensors, false),
       .mem_buffer = nullptr,
       .no_alloc = true});
  graph_ = ggml_new_graph_custom(context_, tensors, false);
  q_ = ggml_new_tensor_4d(context_, GGML_TYPE_F32, shape.head_dim, 1, shape.q_heads, batch);
  mask_ = ggml_new_tensor_4d(context_, GGML_TYPE_F16, kv_len, 1, 1, batch);
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  for (int layer = 0; layer < layers; ++layer) {
    // One cell holds all kv heads.
    for (std::vector<ggml_tensor*>* cache : {&k_, &v_}) {
      cache->push_back(ggml_new_tensor_4d(context_, GGML_TYPE_F16, shape.head_dim, shape.kv_heads,
                                          kv_len, batch));
    }
    out_ = ggml_flash_attn_ext(context_, q_, ggml_permute(context_, k_.back(), 0, 2, 1, 3),
                               ggml_permute(context_, v_.back(), 0, 2, 1, 3), mask_, scale, 0.0f,
                               0.0f);
    ggml_prec_set_acc(out_, GGML_PREC_F32);
    ggml_build_forward_expand(graph_, out_);
  }
  buffer_ = ggml_backend_alloc_ctx_tensors(context_, backend_);
  if (buffer_ == nullptr) throw failure("no memory for ggml's caches");
  fill(data);
}

GgmlPeer::~GgmlPeer() {
  if (buffer_ != nullptr) ggml_backend_buffer_free(buffer_);
  if (context_ != nullptr) ggml_free(context_);
  if (backend_ != nullptr) ggml_backend_free(backend_);
}

void GgmlPeer::fill(const SyntheticData& data) {
  std::vector<ggml_fp16_t> k(data.k.size());
  std::vector<ggml_fp16_t> v(data.v.size());
  ggml_fp32_to_fp16_row(data.k.data(), k.data(), static_cast<std::int64_t>(k.size()));
  ggml_fp32_to_fp16_row(data.v.data(), v.data(), static_cast<std::int64_t>(v.size()));
  const std::size_t kv_bytes = k.size() * sizeof(ggml_fp16_t);
  const std::size_t q_bytes = data.q.size() * sizeof(float);
  for (std::size_t sequence = 0; sequence < static_cast<std::size_t>(batch_); ++sequence) {
    for (std::size_t layer = 0; layer < k_.size(); ++layer) {
      ggml_backend_tensor_set(k_[layer], k.data(), sequence * kv_bytes, kv_bytes);
      ggml_backend_tensor_set(v_[layer], v.data(), sequence * kv_bytes, kv_bytes);
    }
    ggml_backend_tensor_set(q_, data.q.data(), sequence * q_bytes, q_bytes);
  }
  ggml_backend_tensor_memset(mask_, 0, 0, ggml_nbytes(mask_));
}

void GgmlPeer::run() {
  if (ggml_backend_graph_compute(backend_, graph_) != GGML_STATUS_SUCCESS) {
    throw failure("ggml's flash attention failed");
  }
}

std::vector<float> GgmlPeer::output() const {
  std::vector<float> values(static_cast<std::size_t>(shape_.q_heads * shape_.head_dim));
  ggml_backend_tensor_get(out_, values.data(), 0, values.size() * sizeof(float));
  return values;
}

}  // namespace thriftattn::cli
