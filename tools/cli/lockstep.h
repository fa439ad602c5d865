// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// All arms over the same chunks of a text, one after the other within each chunk, so that their
// logits can be compared while they exist and none is stored.
#pragma once

#include <llama.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "arms.h"
#include "llama_model.h"
#include "metrics.h"
#include "module.h"
#include "thriftattn/attention.h"

namespace thriftattn::cli {

struct LockstepConfig {
  llama_model* model = nullptr;
  std::span<const llama_token> tokens;  // at least ctx
  std::int64_t ctx = 0;
  std::int64_t kl_from = 0;  // first position that counts
  int chunk = 64;
  int steps = 0;  // single steps behind the text, timed
  int threads = 1;
  std::function<void(double share, const std::string& arm)> on_progress;
};

// Time and the module's report of some llama_decode calls.
struct StageCost {
  std::int64_t tokens = 0;
  double seconds = 0;
  double attention_seconds = 0;
  AttendReport report;  // of layers in FP4

  StageCost& operator+=(const StageCost& other);
};

struct ArmResult {
  Quality quality;       // of positions kl_from .. ctx - 2
  StageCost text;        // of the whole text
  AttendReport counted;  // of the chunks from kl_from on
  StageCost steps;
  std::vector<double> step_seconds;  // one of each single step
};

// One result for each arm; arms[0] is the reference of KL. Throws CliError.
std::vector<ArmResult> run_lockstep(const LockstepConfig& config, std::span<const Arm> arms,
                                    const Module& module);

}  // namespace thriftattn::cli
