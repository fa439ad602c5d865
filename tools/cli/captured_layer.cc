// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "captured_layer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

namespace thriftattn::cli {
namespace {

constexpr std::string_view kPrefix = "layer.";
constexpr std::string_view kScale = "softmax_scale";

std::string prefix_of(int layer) { return std::string(kPrefix) + std::to_string(layer) + "."; }

template <class T>
StoredTensor stored(DType dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  StoredTensor tensor{dtype, std::move(shape), {}};
  tensor.bytes.resize(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

// The shortest text that gives the number again.
std::string text_of(float value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

// N of "layer.N.k", or -1.
int layer_of_key(const std::string& name) {
  if (!name.starts_with(kPrefix)) return -1;
  int layer = -1;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  return layer >= 0 && name == prefix_of(layer) + "k" ? layer : -1;
}

template <class T>
Status copy_values(const SafeTensors& content, const std::string& name, DType dtype,
                   std::vector<std::int64_t>& shape, std::vector<T>& values) {
  const auto found = content.tensors.find(name);
  if (found == content.tensors.end()) return invalid_argument("no tensor " + name);
  const StoredTensor& tensor = found->second;
  const auto is_empty = [](std::int64_t size) { return size < 1 || size > INT32_MAX; };
  if (tensor.dtype != dtype || tensor.shape.size() != 3 ||
      std::any_of(tensor.shape.begin(), tensor.shape.end(), is_empty)) {
    return invalid_argument(name + ": supported are three dimensions, none empty, of " +
                            (dtype == DType::kF16 ? "F16" : "F32"));
  }
  if (!shape.empty() && shape != tensor.shape)
    return invalid_argument(name + ": not of its twin's shape");
  const Result<std::int64_t> bytes = packed_bytes(dtype, tensor.shape);
  if (!bytes.ok()) return invalid_argument(name + ": " + bytes.status().message());
  if (bytes.value() != static_cast<std::int64_t>(tensor.bytes.size())) {
    return invalid_argument(name + " has " + std::to_string(tensor.bytes.size()) +
                            " bytes, its shape " + std::to_string(bytes.value()));
  }
  shape = tensor.shape;
  values.resize(tensor.bytes.size() / sizeof(T));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return {};
}

Status copy_layer(const SafeTensors& content, const std::string& name, CapturedLayer& layer) {
  std::vector<std::int64_t> kv, rows;
  Status s = copy_values(content, name + "k", DType::kF16, kv, layer.k);
  if (s.ok()) s = copy_values(content, name + "v", DType::kF16, kv, layer.v);
  if (s.ok()) s = copy_values(content, name + "q", DType::kF32, rows, layer.q);
  if (s.ok()) s = copy_values(content, name + "out", DType::kF32, rows, layer.out);
  if (!s.ok()) return s;
  if (rows[1] % kv[1] != 0 || rows[2] != kv[2] || rows[0] > kv[0]) {
    return invalid_argument(name + "q: its tokens, heads or head_dim do not fit those of k");
  }
  layer.kv_heads = static_cast<int>(kv[1]);
  layer.head_dim = static_cast<int>(kv[2]);
  layer.q_heads = static_cast<int>(rows[1]);
  const auto scale = content.metadata.find(name + std::string(kScale));
  if (scale == content.metadata.end())
    return invalid_argument("no metadata " + name + std::string(kScale));
  const std::string& text = scale->second;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), layer.softmax_scale);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() ||
      !std::isfinite(layer.softmax_scale) || layer.softmax_scale <= 0) {
    return invalid_argument(name + std::string(kScale) + " is '" + text +
                            "': supported numbers above 0");
  }
  return {};
}

}  // namespace

SafeTensors to_tensors(std::span<const CapturedLayer> layers,
                       std::map<std::string, std::string> metadata) {
  SafeTensors content{.tensors = {}, .metadata = std::move(metadata)};
  for (const CapturedLayer& c : layers) {
    const std::string name = prefix_of(c.layer);
    const std::vector<std::int64_t> kv = {c.ctx(), c.kv_heads, c.head_dim};
    const std::vector<std::int64_t> rows = {c.steps(), c.q_heads, c.head_dim};
    content.tensors[name + "k"] = stored(DType::kF16, kv, c.k);
    content.tensors[name + "v"] = stored(DType::kF16, kv, c.v);
    content.tensors[name + "q"] = stored(DType::kF32, rows, c.q);
    content.tensors[name + "out"] = stored(DType::kF32, rows, c.out);
    content.metadata[name + std::string(kScale)] = text_of(c.softmax_scale);
  }
  return content;
}

Result<std::vector<CapturedLayer>> from_tensors(const SafeTensors& content) {
  std::vector<CapturedLayer> layers;
  for (const auto& [name, tensor] : content.tensors) {
    const int number = layer_of_key(name);
    if (number < 0) continue;
    CapturedLayer layer;
    layer.layer = number;
    if (Status s = copy_layer(content, prefix_of(number), layer); !s.ok()) return s;
    layers.push_back(std::move(layer));
  }
  if (layers.empty()) return invalid_argument("no tensor layer.N.k: not a capture of a model");
  std::sort(layers.begin(), layers.end(),
            [](const CapturedLayer& a, const CapturedLayer& b) { return a.layer < b.layer; });
  return layers;
}

Result<std::vector<CapturedLayer>> read_captured_layers(const std::filesystem::path& path) {
  const Result<SafeTensors> content = read_safetensors(path);
  if (!content.ok()) return content.status();
  Result<std::vector<CapturedLayer>> layers = from_tensors(content.value());
  if (!layers.ok()) return invalid_argument(path.string() + ": " + layers.status().message());
  return layers;
}

std::int64_t captured_bytes(std::int64_t ctx, int steps, int q_heads, int kv_heads, int head_dim) {
  return 4 * ctx * kv_heads * head_dim + 8LL * steps * q_heads * head_dim;
}

}  // namespace thriftattn::cli
