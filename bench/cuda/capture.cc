// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/capture.h"

#include <cuda_fp16.h>

#include <cstddef>
#include <stdexcept>

#include "captured_layer.h"
#include "cuda/device.h"

namespace thriftattn::bench {
namespace {

template <class T>
void* upload(const std::vector<T>& values) {
  static_assert(sizeof(T) == 2);
  void* pointer = memory(2 * values.size());
  require(cudaMemcpy(pointer, values.data(), 2 * values.size(), cudaMemcpyHostToDevice));
  return pointer;
}

Capture upload_layer(const cli::CapturedLayer& layer, const std::string& file) {
  const std::string name = file + ": layer " + std::to_string(layer.layer);
  if (layer.steps() < kSteps) {
    throw std::runtime_error(name + " has " + std::to_string(layer.steps()) +
                             " rows of q: supported " + std::to_string(kSteps) + " or more");
  }
  const std::ptrdiff_t row = std::ptrdiff_t{layer.q_heads} * layer.head_dim;
  std::vector<__half> q;
  for (auto at = layer.q.end() - kSteps * row; at != layer.q.end(); ++at) {
    q.push_back(__float2half(*at));
  }
  Capture capture;
  capture.layer = layer.layer;
  capture.shape = {layer.q_heads, layer.kv_heads, layer.head_dim, layer.ctx(), layer.softmax_scale};
  capture.k = upload(layer.k);
  capture.v = upload(layer.v);
  capture.q = upload(q);
  return capture;
}

void copy(const void* from, std::int64_t offset, std::int64_t bytes, void* to,
          cudaStream_t stream) {
  require(cudaMemcpyAsync(to, static_cast<const std::byte*>(from) + offset,
                          static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, stream));
}

}  // namespace

std::vector<Capture> load_captures(const std::string& file) {
  const Result<std::vector<cli::CapturedLayer>> layers = cli::read_captured_layers(file);
  if (!layers.ok()) throw std::runtime_error(layers.status().message());
  std::vector<Capture> captures;
  for (const cli::CapturedLayer& layer : layers.value()) {
    captures.push_back(upload_layer(layer, file));
  }
  require(cudaDeviceSynchronize());
  return captures;
}

void copy_rows(const Capture& capture, std::int64_t first, std::int64_t tokens, void* k, void* v,
               cudaStream_t stream) {
  const std::int64_t row = std::int64_t{2} * capture.shape.kv_heads * capture.shape.head_dim;
  copy(capture.k, first * row, tokens * row, k, stream);
  copy(capture.v, first * row, tokens * row, v, stream);
}

void copy_queries(const Capture& capture, int batch, int step, void* q, cudaStream_t stream) {
  const std::int64_t row = std::int64_t{2} * capture.shape.q_heads * capture.shape.head_dim;
  for (int i = 0; i < batch; ++i) {
    copy(capture.q, step * row, row, static_cast<std::byte*>(q) + i * row, stream);
  }
}

}  // namespace thriftattn::bench
