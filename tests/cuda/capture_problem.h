// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Problems out of captures of real models: files of `thriftattn inspect --model M --capture FILE`,
// named in the environment as THRIFTATTN_CAPTURES=FILE:FILE.
#pragma once

#include <string>
#include <vector>

#include "support/problem.h"

namespace thriftattn::testing {

struct CapturedProblem {
  std::string name;  // file and layer
  Problem problem;   // one sequence; q in F16: the last tokens, up to 16
  float softmax_scale = 0;
  Tensor model_out;  // [tokens, q_heads, head_dim], F32: what the model's 16-bit attention gave
};

// One of each layer of each file. Throws std::runtime_error, naming the file, where one is broken.
std::vector<CapturedProblem> captured_problems();

// The problem as it was when its sequence had `tokens` tokens, with the query of the last alone.
Problem at_token(const Problem& problem, std::int64_t tokens);

}  // namespace thriftattn::testing
