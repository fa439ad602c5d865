// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/append_checks.h"

#include <string>

#include "numeric/dtype.h"

namespace thriftattn::kv {
namespace {

std::string shape_of(const ConstTensorView& view) {
  std::string shape = "[";
  shape += std::to_string(view.tokens) + ", " + std::to_string(view.heads) + ", ";
  return shape + std::to_string(view.dim) + "]";
}

Status check_view(int kv_heads, int head_dim, const ConstTensorView& view, const char* name) {
  if (!numeric::is_known(view.dtype)) {
    return invalid_argument(std::string(name) + ": unknown dtype " +
                            std::to_string(static_cast<int>(view.dtype)) +
                            "; supported f32, f16, bf16");
  }
  if (view.tokens < 0 || view.heads != kv_heads || view.dim != head_dim) {
    return invalid_argument(std::string(name) + ": shape " + shape_of(view) +
                            ", the cache takes [tokens, " + std::to_string(kv_heads) + ", " +
                            std::to_string(head_dim) + "]");
  }
  if (view.tokens > 0 && view.data == nullptr) {
    return invalid_argument(std::string(name) + ": " + std::to_string(view.tokens) +
                            " tokens at nullptr");
  }
  return {};
}

}  // namespace

Status check_views(int kv_heads, int head_dim, const ConstTensorView& k, const ConstTensorView& v) {
  if (Status status = check_view(kv_heads, head_dim, k, "k"); !status.ok()) return status;
  if (Status status = check_view(kv_heads, head_dim, v, "v"); !status.ok()) return status;
  if (k.tokens == v.tokens) return {};
  return invalid_argument("k has " + std::to_string(k.tokens) + " tokens, v has " +
                          std::to_string(v.tokens));
}

Status check_offsets(std::size_t sequences, std::span<const std::int64_t> offsets,
                     std::int64_t tokens) {
  if (offsets.size() != sequences + 1) {
    return invalid_argument("offsets: " + std::to_string(offsets.size()) + " values for " +
                            std::to_string(sequences) +
                            " sequences; one more than sequences is needed");
  }
  if (offsets.front() != 0 || offsets.back() != tokens) {
    return invalid_argument("offsets: from " + std::to_string(offsets.front()) + " to " +
                            std::to_string(offsets.back()) + ", must be from 0 to the " +
                            std::to_string(tokens) + " tokens of k");
  }
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    if (offsets[i] <= offsets[i + 1]) continue;
    return invalid_argument("offsets: fall from " + std::to_string(offsets[i]) + " to " +
                            std::to_string(offsets[i + 1]) + " at sequence " + std::to_string(i));
  }
  return {};
}

Status bad_value(const char* name, std::int64_t token, std::int64_t head, int dim, float value) {
  return invalid_argument(std::string(name) + ": value " + std::to_string(value) + " at token " +
                          std::to_string(token) + ", kv head " + std::to_string(head) + ", dim " +
                          std::to_string(dim) + "; finite values within +-65504 can be stored");
}

Status short_of_pages(std::int64_t needed, std::int64_t free, std::int64_t pages) {
  return {StatusCode::kOutOfMemory, "append needs " + std::to_string(needed) + " pages, " +
                                        std::to_string(free) + " of " + std::to_string(pages) +
                                        " are free"};
}

Status named_twice(SequenceId id) {
  return invalid_argument("sequence " + std::to_string(id) + ": named twice in one append");
}

}  // namespace thriftattn::kv
