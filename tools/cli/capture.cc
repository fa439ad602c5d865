// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "capture.h"

#include <ggml-backend.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "error.h"

namespace thriftattn::cli {
namespace {

constexpr int kChunk = 512;
constexpr std::string_view kCacheName = "cache_k_l";  // llama.cpp's K cache of a layer

// The layer of a FLASH_ATTN_EXT node, by the name of the cache that its K is a view of, or -1.
int layer_of(const ggml_tensor* node) {
  const ggml_tensor* k = node->src[1];
  while (k->view_src != nullptr) k = k->view_src;
  const std::string_view name = k->name;
  return name.starts_with(kCacheName) ? std::atoi(k->name + kCacheName.size()) : -1;
}

template <class T>
void read_row(const ggml_tensor* tensor, std::int64_t i1, std::int64_t i2, T* to) {
  const std::size_t offset =
      static_cast<std::size_t>(i1) * tensor->nb[1] + static_cast<std::size_t>(i2) * tensor->nb[2];
  ggml_backend_tensor_get(tensor, to, offset, static_cast<std::size_t>(tensor->ne[0]) * sizeof(T));
}

// ggml's [dim, tokens, heads] (or, where `heads_first`, [dim, heads, tokens]) as [tokens, heads,
// dim].
template <class T>
std::vector<T> read_rows(const ggml_tensor* tensor, std::int64_t tokens, std::int64_t heads,
                         bool heads_first = false) {
  const std::int64_t dim = tensor->ne[0];
  std::vector<T> rows(static_cast<std::size_t>(tokens * heads * dim));
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      T* row = rows.data() + (t * heads + h) * dim;
      read_row(tensor, heads_first ? h : t, heads_first ? t : h, row);
    }
  }
  return rows;
}

class Capture {
 public:
  explicit Capture(const CaptureConfig& config) : config_(config) {}

  std::vector<CapturedLayer> run() {
    const int chunk = std::max(kChunk, config_.steps);
    const LlamaContext context = make_context(config_.model, {.capacity = config_.ctx,
                                                              .chunk = chunk,
                                                              .threads = config_.threads,
                                                              .on_node = on_node,
                                                              .on_node_data = this});
    const std::int64_t text = config_.ctx - config_.steps;
    for (std::int64_t begin = 0; begin < text; begin += kChunk) {
      decode(context.get(), begin, std::min<std::int64_t>(begin + kChunk, text));
    }
    capturing_ = true;
    decode(context.get(), text, config_.ctx);
    if (!error_.empty()) throw failure("{}", error_);
    for (const int layer : config_.layers) {
      const auto same = [&](const CapturedLayer& c) { return c.layer == layer; };
      if (std::none_of(layers_.begin(), layers_.end(), same)) {
        throw usage_error("--layers {}: the model has no such layer of attention", layer);
      }
    }
    if (layers_.empty()) throw failure("no layer of this model sees all {} tokens", config_.ctx);
    return std::move(layers_);
  }

 private:
  void decode(llama_context* context, std::int64_t begin, std::int64_t end) {
    // llama_batch_get_one asks for the last token's logits only.
    std::vector<llama_token> tokens(config_.tokens.begin() + begin, config_.tokens.begin() + end);
    const llama_batch batch =
        llama_batch_get_one(tokens.data(), static_cast<std::int32_t>(tokens.size()));
    if (const int code = llama_decode(context, batch); code != 0) {
      throw failure("llama.cpp cannot decode tokens {} to {} (code {})", begin, end, code);
    }
    if (config_.on_progress) {
      config_.on_progress(static_cast<double>(end) / static_cast<double>(config_.ctx), "text");
    }
  }

  [[nodiscard]] bool wants(const ggml_tensor* node) const {
    if (!capturing_ || node->op != GGML_OP_FLASH_ATTN_EXT) return false;
    const std::vector<int>& layers = config_.layers;
    return layers.empty() || std::count(layers.begin(), layers.end(), layer_of(node)) > 0;
  }

  static bool on_node(ggml_tensor* node, bool ask, void* self) {
    auto* capture = static_cast<Capture*>(self);
    if (ask) return capture->wants(node);
    if (capture->wants(node)) capture->keep(node);
    return true;
  }

  // Whether the last token sees all tokens, and these lie in their order.
  [[nodiscard]] bool sees_all(const ggml_tensor* node) const {
    const ggml_tensor* mask = node->src[3];
    if (node->src[1]->ne[1] < config_.ctx || mask == nullptr) return false;
    std::vector<ggml_fp16_t> row(static_cast<std::size_t>(mask->ne[0]));
    read_row(mask, config_.steps - 1, 0, row.data());
    return std::all_of(row.begin(), row.begin() + config_.ctx,
                       [](ggml_fp16_t m) { return ggml_fp16_to_fp32(m) == 0.0f; });
  }

  void keep(const ggml_tensor* node) {
    const ggml_tensor *q = node->src[0], *k = node->src[1], *v = node->src[2];
    CapturedLayer layer;
    layer.layer = layer_of(node);
    if (q->ne[1] != config_.steps || k->type != GGML_TYPE_F16 || v->type != GGML_TYPE_F16 ||
        v->ne[0] != k->ne[0] || !sees_all(node)) {
      if (!config_.layers.empty()) {
        error_ = fmt::format("layer {}: its tokens do not see all {} before them (a window?)",
                             layer.layer, config_.ctx);
      }
      return;
    }
    layer.q_heads = static_cast<int>(q->ne[2]);
    layer.kv_heads = static_cast<int>(k->ne[2]);
    layer.head_dim = static_cast<int>(k->ne[0]);
    std::memcpy(&layer.softmax_scale, node->op_params, sizeof(float));
    layer.k = read_rows<half_t>(k, config_.ctx, layer.kv_heads);
    layer.v = read_rows<half_t>(v, config_.ctx, layer.kv_heads);
    layer.q = read_rows<float>(q, config_.steps, layer.q_heads);
    layer.out = read_rows<float>(node, config_.steps, layer.q_heads, true);
    layers_.push_back(std::move(layer));
  }

  const CaptureConfig& config_;
  bool capturing_ = false;
  std::string error_;  // thrown after the decode: ggml's callback is C
  std::vector<CapturedLayer> layers_;
};

}  // namespace

std::vector<CapturedLayer> capture_layers(const CaptureConfig& config, const Module& module) {
  thriftattn_ggml_options options = module.options();
  options.exact = true;
  module.set_options(options);
  return Capture(config).run();
}

}  // namespace thriftattn::cli
