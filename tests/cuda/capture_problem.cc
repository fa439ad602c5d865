// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/capture_problem.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "cuda/cache_pair.h"
#include "safetensors.h"

namespace thriftattn::testing {
namespace {

constexpr std::int64_t kRows = 16;  // of one call on the device

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw std::runtime_error(file + ": " + what);
}

Tensor tensor_of(const cli::SafeTensors& content, const std::string& file,
                 const std::string& name) {
  const auto found = content.tensors.find(name);
  if (found == content.tensors.end()) fail(file, "no tensor " + name);
  const cli::StoredTensor& stored = found->second;
  if (stored.shape.size() != 3) fail(file, name + " has not three dimensions");
  Tensor tensor = Tensor::make(stored.dtype, stored.shape[0], static_cast<int>(stored.shape[1]),
                               static_cast<int>(stored.shape[2]));
  tensor.bytes = stored.bytes;
  return tensor;
}

CapturedProblem problem_of(const cli::SafeTensors& content, const std::string& file,
                           const std::string& layer) {
  CapturedProblem captured;
  captured.name = file + " " + layer;
  const Tensor k = tensor_of(content, file, layer + "k");
  const Tensor q = tensor_of(content, file, layer + "q");
  const std::int64_t rows = std::min(q.tokens, kRows);
  if (q.heads % std::max(k.heads, 1) != 0 || q.tokens > k.tokens) fail(file, "shapes do not fit");
  captured.model_out = part_of(tensor_of(content, file, layer + "out"), q.tokens - rows, q.tokens);
  const auto scale = content.metadata.find(layer + "softmax_scale");
  if (scale == content.metadata.end()) fail(file, "no " + layer + "softmax_scale");
  captured.softmax_scale = std::strtof(scale->second.c_str(), nullptr);

  Problem& problem = captured.problem;
  problem.shape.head_dim = k.dim;
  problem.shape.kv_heads = k.heads;
  problem.shape.group = q.heads / k.heads;
  problem.shape.sequences = {{k.tokens, rows}};
  problem.shape.q_dtype = DType::kF16;
  problem.k = {converted(k, DType::kF32)};
  problem.v = {converted(tensor_of(content, file, layer + "v"), DType::kF32)};
  problem.q = converted(part_of(q, q.tokens - rows, q.tokens), DType::kF16);
  problem.q_offsets = {0, rows};
  return captured;
}

}  // namespace

std::vector<CapturedProblem> captured_problems() {
  std::vector<CapturedProblem> problems;
  const char* names = std::getenv("THRIFTATTN_CAPTURES");
  std::istringstream files(names == nullptr ? "" : names);
  for (std::string file; std::getline(files, file, ':');) {
    const Result<cli::SafeTensors> content = cli::read_safetensors(file);
    if (!content.ok()) fail(file, content.status().message());
    for (const auto& [name, tensor] : content.value().tensors) {
      if (!name.ends_with(".k")) continue;
      const std::string layer = name.substr(0, name.size() - 1);
      problems.push_back(problem_of(content.value(), file, layer));
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
