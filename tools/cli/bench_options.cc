// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "bench_options.h"

#include "arms.h"
#include "error.h"

namespace thriftattn::cli {
namespace {

constexpr const char* kCpuArms = "thrift, nested, fp16, low_only, paper";
constexpr const char* kCudaArms =
    "thrift, nested, thrift_keep, thrift_scratch, fp16, low_only, paper";

void check_cuda_options(const BenchOptions& options) {
  const auto refuse = [](bool given, const std::string& what, const char* instead) {
    if (given) throw usage_error("{}: not with --device cuda; {}", what, instead);
  };
  refuse(!options.isa.empty(), "--isa " + options.isa, "the kernels are those of the GPU");
  refuse(options.threads != 0, "--threads", "the whole GPU is used");
  refuse(options.layers != 1, "--layers", "one cache is used, and the L2 is flushed");
  refuse(options.peer == "ggml", "--peer ggml", "it runs on the CPU; cuDNN: bench/h200_decode.py");
  refuse(options.mode == "w4a4", "--mode w4a4", "supported: kv4");
  const Policy policy = parse_policy(options.policy);
  refuse(policy == Policy::kLocal || policy == Policy::kRandom, "--policy " + options.policy,
         "supported: fp4_mass, block_mean, quest");
  const int dim = options.shape.head_dim;
  refuse(dim != 64 && dim != 128 && dim != 256, fmt::format("--head-dim {}", dim),
         "supported: 64, 128, 256");
}

}  // namespace

void check_device_options(const BenchOptions& options) {
  if (options.device == "cuda") return check_cuda_options(options);
  if (!options.profile.empty()) throw usage_error("--profile: with --device cuda only");
  if (options.turnover) throw usage_error("--turnover: with --device cuda only");
}

Selection selection_of(const std::string& arm, const BenchOptions& options) {
  const bool cuda = options.device == "cuda";
  Selection selection;
  selection.policy = parse_policy(options.policy);
  selection.seed = options.seed;
  selection.unit = SelectionUnit::kToken;
  selection.budget.value = options.budget;
  selection.tau = options.tau;
  if (arm == "thrift" || arm == "nested") return selection;
  if ((arm == "thrift_keep" || arm == "thrift_scratch") && cuda) return selection;
  if (arm == "fp16") {
    selection.budget.kind = Budget::Kind::kAll;
    selection.tau = 0;
  } else if (arm == "low_only") {
    selection.budget.value = 0;
    selection.tau = 0;
    selection.force_sink = false;
  } else if (arm == "paper") {
    selection = Selection::paper();
    selection.budget.value = options.budget;
    selection.force_own = true;
  } else {
    throw usage_error("--arms {}: unknown with --device {}; supported: {}", arm, options.device,
                      cuda ? kCudaArms : kCpuArms);
  }
  return selection;
}

}  // namespace thriftattn::cli
