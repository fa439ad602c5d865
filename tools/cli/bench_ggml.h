// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The peer: ggml's own CPU flash attention over a 16-bit cache, as llama.cpp lays it out.
#pragma once

#include <ggml-backend.h>
#include <ggml.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "synthetic.h"

namespace thriftattn::cli {

class GgmlPeer {
 public:
  // `layers` separate caches of the data for each of `batch` sequences. Throws CliError.
  GgmlPeer(const Shape& shape, const SyntheticData& data, std::int64_t kv_len, int batch,
           int layers, int threads);
  ~GgmlPeer();
  GgmlPeer(const GgmlPeer&) = delete;
  GgmlPeer& operator=(const GgmlPeer&) = delete;

  // Every layer once. Throws CliError.
  void run();
  // Of the first sequence in the last layer: [q_heads, head_dim].
  [[nodiscard]] std::vector<float> output() const;

 private:
  void fill(const SyntheticData& data);

  Shape shape_;
  std::int64_t kv_len_;
  int batch_;
  ggml_backend_t backend_ = nullptr;
  ggml_context* context_ = nullptr;
  ggml_backend_buffer_t buffer_ = nullptr;
  ggml_cgraph* graph_ = nullptr;
  ggml_tensor* q_ = nullptr;
  ggml_tensor* mask_ = nullptr;
  ggml_tensor* out_ = nullptr;
  std::vector<ggml_tensor*> k_;
  std::vector<ggml_tensor*> v_;
};

}  // namespace thriftattn::cli
