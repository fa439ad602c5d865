// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/capture_problem.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include "captured_layer.h"
#include "cuda/cache_pair.h"

namespace thriftattn::testing {
namespace {

constexpr std::int64_t kRows = 16;  // of one call on the device

template <class T>
Tensor tensor_of(DType dtype, std::int64_t tokens, int heads, int dim,
                 const std::vector<T>& values) {
  Tensor tensor = Tensor::make(dtype, tokens, heads, dim);
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

CapturedProblem problem_of(const cli::CapturedLayer& layer, const std::string& file) {
  const auto of_kv = [&](const std::vector<half_t>& values) {
    return converted(tensor_of(DType::kF16, layer.ctx(), layer.kv_heads, layer.head_dim, values),
                     DType::kF32);
  };
  const std::int64_t rows = std::min(layer.steps(), kRows);
  const auto last_rows = [&](const std::vector<float>& values) {
    return part_of(tensor_of(DType::kF32, layer.steps(), layer.q_heads, layer.head_dim, values),
                   layer.steps() - rows, layer.steps());
  };
  CapturedProblem captured;
  captured.name = file + " layer " + std::to_string(layer.layer);
  captured.model_out = last_rows(layer.out);
  captured.softmax_scale = layer.softmax_scale;
  Problem& problem = captured.problem;
  problem.shape.head_dim = layer.head_dim;
  problem.shape.kv_heads = layer.kv_heads;
  problem.shape.group = layer.q_heads / layer.kv_heads;
  problem.shape.sequences = {{layer.ctx(), rows}};
  problem.shape.q_dtype = DType::kF16;
  problem.k = {of_kv(layer.k)};
  problem.v = {of_kv(layer.v)};
  problem.q = converted(last_rows(layer.q), DType::kF16);
  problem.q_offsets = {0, rows};
  return captured;
}

}  // namespace

std::vector<CapturedProblem> captured_problems() {
  std::vector<CapturedProblem> problems;
  const char* names = std::getenv("THRIFTATTN_CAPTURES");
  std::istringstream files(names == nullptr ? "" : names);
  for (std::string file; std::getline(files, file, ':');) {
    const Result<std::vector<cli::CapturedLayer>> layers = cli::read_captured_layers(file);
    if (!layers.ok()) throw std::runtime_error(layers.status().message());
    for (const cli::CapturedLayer& layer : layers.value()) {
      problems.push_back(problem_of(layer, file));
    }
  }
  return problems;
}

Problem at_token(const Problem& problem, std::int64_t tokens) {
  Problem step;
  step.shape = problem.shape;
  step.shape.sequences = {{tokens, 1}};
  step.k = {part_of(problem.k[0], 0, tokens)};
  step.v = {part_of(problem.v[0], 0, tokens)};
  const std::int64_t row = problem.q.tokens - (problem.k[0].tokens - tokens) - 1;
  step.q = part_of(problem.q, row, row + 1);
  step.q_offsets = {0, 1};
  return step;
}

}  // namespace thriftattn::testing
