// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/validate.h"

#include <cmath>
#include <limits>
#include <string>

namespace thriftattn::engine {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;

std::string shape_of(std::int64_t tokens, std::int64_t heads, std::int64_t dim) {
  return "[" + std::to_string(tokens) + ", " + std::to_string(heads) + ", " + std::to_string(dim) +
         "]";
}

Status check_share(const char* name, double value) {
  if (std::isfinite(value) && value >= 0 && value <= 1) return {};
  return invalid_argument(std::string(name) + " " + std::to_string(value) + ": supported 0 to 1");
}

Status check_budget(const Budget& budget) {
  if (!std::isfinite(budget.k_share) || budget.k_share < 0 || !std::isfinite(budget.v_share) ||
      budget.v_share < 0) {
    return invalid_argument("budget shares k " + std::to_string(budget.k_share) + ", v " +
                            std::to_string(budget.v_share) + ": supported finite, 0 or more");
  }
  switch (budget.kind) {
    case Budget::Kind::kAll:
      return {};
    case Budget::Kind::kFraction:
      return check_share("budget fraction", budget.value);
    case Budget::Kind::kMass:
      return check_share("budget mass", budget.value);
    case Budget::Kind::kCount:
      if (std::isfinite(budget.value) && budget.value >= 0) return {};
      return invalid_argument("budget count " + std::to_string(budget.value) +
                              ": supported finite, 0 or more");
  }
  return invalid_argument("budget kind " + std::to_string(static_cast<int>(budget.kind)) +
                          ": supported kFraction, kCount, kMass, kAll");
}

Status check_options(const AttendOptions& options) {
  if (Status s = validate_selection(options.selection); !s.ok()) return s;
  if (options.mode > ComputeMode::kW4a4) {
    return invalid_argument("mode " + std::to_string(static_cast<int>(options.mode)) +
                            ": supported kv4, w4a4");
  }
  if (Status s = validate_softmax_scale(options.softmax_scale); !s.ok()) return s;
  if (options.split_blocks < 1) {
    return invalid_argument("split_blocks " + std::to_string(options.split_blocks) +
                            ": supported 1 or more");
  }
  return validate_crossover(options.crossover_tokens);
}

template <class View>
Status check_view(const char* name, const View& view, std::int64_t tokens, std::int64_t heads,
                  std::int64_t dim) {
  if (view.tokens != tokens || view.heads != heads || view.dim != dim) {
    return invalid_argument(std::string(name) + " is " +
                            shape_of(view.tokens, view.heads, view.dim) + ", expected " +
                            shape_of(tokens, heads, dim));
  }
  if (view.dtype > DType::kBF16) {
    return invalid_argument(std::string(name) + " dtype " +
                            std::to_string(static_cast<int>(view.dtype)) +
                            ": supported F32, F16, BF16");
  }
  if (tokens > 0 && !view.data) return invalid_argument(std::string(name) + " is null");
  if (view.head_stride < dim || view.token_stride < dim) {
    return invalid_argument(
        std::string(name) + " strides (token " + std::to_string(view.token_stride) + ", head " +
        std::to_string(view.head_stride) + ") are below head_dim " + std::to_string(dim));
  }
  return {};
}

// Rows that share elements would be written by two threads.
Status check_disjoint(const TensorView& out) {
  const auto apart = [](std::int64_t outer, std::int64_t inner, std::int64_t count,
                        std::int64_t dim) { return outer >= (count - 1) * inner + dim; };
  if (out.tokens < 2 || out.heads < 2 ||
      apart(out.token_stride, out.head_stride, out.heads, out.dim) ||
      apart(out.head_stride, out.token_stride, out.tokens, out.dim)) {
    return {};
  }
  return invalid_argument("out strides (token " + std::to_string(out.token_stride) + ", head " +
                          std::to_string(out.head_stride) + ") make rows of " +
                          shape_of(out.tokens, out.heads, out.dim) + " overlap");
}

Status check_source(const KvSource& source) {
  const int dim = source.head_dim();
  if (source.kv_heads() < 1) {
    return invalid_argument("the source has " + std::to_string(source.kv_heads()) +
                            " kv heads: supported 1 or more");
  }
  if (dim < kMinHeadDim || dim > kMaxHeadDim || dim % kHeadDimStep != 0) {
    return unsupported("head_dim " + std::to_string(dim) +
                       ": supported multiples of 16 from 32 to 256");
  }
  return {};
}

Status check_shapes(const ConstTensorView& q, const TensorView& out, int kv_heads, int dim) {
  const std::int64_t heads = q.heads;
  if (heads < 1 || heads > kMaxElements / dim || heads % kv_heads != 0) {
    return invalid_argument("q has " + std::to_string(heads) +
                            " heads: supported multiples of the cache's " +
                            std::to_string(kv_heads) + " kv heads");
  }
  if (q.tokens < 0 || q.tokens > kMaxElements / (heads * dim)) {
    return invalid_argument("q has " + std::to_string(q.tokens) + " tokens: too many, or negative");
  }
  if (Status s = check_view("q", q, q.tokens, heads, dim); !s.ok()) return s;
  if (Status s = check_view("out", out, q.tokens, heads, dim); !s.ok()) return s;
  return check_disjoint(out);
}

Status check_offsets(std::span<const std::int64_t> offsets, std::int64_t tokens) {
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != tokens) {
    return invalid_argument("q_offsets must start at 0 and end at q's " + std::to_string(tokens) +
                            " tokens");
  }
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1]) {
      return invalid_argument("q_offsets decrease at " + std::to_string(i) + ": " +
                              std::to_string(offsets[i - 1]) + ", " + std::to_string(offsets[i]));
    }
  }
  return {};
}

// Quest needs bounds that only caches made for it keep.
Status check_channel_bounds(const AttendParams& params, const KvSource& source) {
  if (params.options.selection.policy != Policy::kQuest) return {};
  for (int s = 0; s + 1 < static_cast<int>(params.q_offsets.size()); ++s) {
    for (std::int64_t b = 0; b < source.blocks(s); ++b) {
      const BlockView view = source.block(s, b, 0);
      if (!view.sealed) continue;
      if (view.summary.min_k && view.summary.max_k_channel) return {};
      return unsupported(
          "policy quest: the cache keeps no channel bounds; create it with channel_bounds");
    }
  }
  return {};
}

}  // namespace

Status validate_tensors(const ConstTensorView& q, const TensorView& out,
                        std::span<const std::int64_t> q_offsets, int kv_heads, int dim) {
  if (Status s = check_shapes(q, out, kv_heads, dim); !s.ok()) return s;
  return check_offsets(q_offsets, q.tokens);
}

Status validate_selection(const Selection& selection) {
  if (Status s = check_budget(selection.budget); !s.ok()) return s;
  if (!std::isfinite(selection.tau) || selection.tau < 0 || selection.tau >= 1) {
    return invalid_argument("tau " + std::to_string(selection.tau) + ": supported 0 <= tau < 1");
  }
  if (selection.policy > Policy::kRandom) {
    return invalid_argument("policy " + std::to_string(static_cast<int>(selection.policy)) +
                            ": supported fp4_mass, block_mean, quest, local, random");
  }
  if (selection.unit > SelectionUnit::kTile) {
    return invalid_argument("selection unit " + std::to_string(static_cast<int>(selection.unit)) +
                            ": supported auto, token, token_per_q_head, tile");
  }
  return {};
}

Status validate_softmax_scale(float scale) {
  if (!std::isfinite(scale)) {
    return invalid_argument("softmax_scale is not finite");
  }
  return {};
}

Status validate_crossover(std::int64_t tokens) {
  if (tokens < 0) {
    return invalid_argument("crossover_tokens " + std::to_string(tokens) + ": supported 0 or more");
  }
  return {};
}

Status validate(const AttendParams& params, const KvSource& source) {
  if (Status s = check_source(source); !s.ok()) return s;
  if (Status s = validate_tensors(params.q, params.out, params.q_offsets, source.kv_heads(),
                                  source.head_dim());
      !s.ok()) {
    return s;
  }
  if (Status s = check_options(params.options); !s.ok()) return s;
  return check_channel_bounds(params, source);
}

}  // namespace thriftattn::engine
