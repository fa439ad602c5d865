// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// attend: check, cut into panels, run the four steps of each, on as many threads as there are.
#include <cmath>
#include <new>
#include <string>

#include "engine/kernel_table.h"
#include "engine/plan.h"
#include "engine/schedule.h"
#include "engine/validate.h"
#include "thriftattn/attention.h"
#include "thriftattn/device.h"

namespace thriftattn {
namespace engine {
namespace {

class SerialExecutor final : public Executor {
 public:
  [[nodiscard]] int threads() const override { return 1; }
  void run(std::int64_t count, const Task& task) override {
    for (std::int64_t i = 0; i < count; ++i) task(i, 0);
  }
};

Status check_replay(const AttendTrace* replay, const std::vector<PanelPlan>& plans,
                    const KvSource& source) {
  if (!replay) return {};
  std::size_t units = 0;
  for (const PanelPlan& plan : plans) {
    for (int u = 0; u < plan.units(); ++u, ++units) {
      if (units >= replay->size() ||
          static_cast<std::int64_t>((*replay)[units].fate.size()) != source.blocks(plan.sequence)) {
        return invalid_argument("replay: unit " + std::to_string(units) +
                                " is missing or has another number of blocks");
      }
    }
  }
  if (units != replay->size()) {
    return invalid_argument("replay has " + std::to_string(replay->size()) +
                            " units, the call has " + std::to_string(units));
  }
  return {};
}

Status run(const AttendParams& params, const KvSource& source, const KernelTable* kernels) {
  CallContext call{.source = &source,
                   .kernels = kernels,
                   .options = &params.options,
                   .q = params.q,
                   .out = params.out,
                   .lse = params.lse,
                   .q_offsets = params.q_offsets.data()};
  call.scale = params.options.softmax_scale != 0.0f
                   ? params.options.softmax_scale
                   : 1.0f / std::sqrt(static_cast<float>(source.head_dim()));
  const std::vector<PanelPlan> plans = plan_panels(
      source, params.q_offsets, static_cast<int>(params.q.heads), params.options.selection.unit);
  if (Status s = check_replay(params.options.replay, plans, source); !s.ok()) return s;

  Outputs outputs;
  if (params.report) outputs.reports.resize(plans.size());
  outputs.want_trace = params.trace != nullptr;
  if (outputs.want_trace && !plans.empty()) {
    outputs.trace.resize(plans.back().first_unit + plans.back().units());
  }
  SerialExecutor serial;
  Executor& executor = params.executor ? *params.executor : serial;
  thread_local Workspace workspace;
  run_panels(call, plans, executor, workspace, outputs);

  for (const AttendReport& report : outputs.reports) *params.report += report;
  if (params.trace) {
    params.trace->insert(params.trace->end(), outputs.trace.begin(), outputs.trace.end());
  }
  return {};
}

}  // namespace
}  // namespace engine

Status attend(const AttendParams& params, const KvSource& source) {
  if (Status s = engine::validate(params, source); !s.ok()) return s;
  if (const Result<std::string> isa = active_isa(); !isa.ok()) return isa.status();
  try {
    return engine::run(params, source, active_kernels());
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "attend: no memory for the workspace"};
  }
}

Status attend(const AttendParams& params, const PagedKvCache& cache) {
  if (params.q_offsets.size() != params.sequences.size() + 1) {
    return invalid_argument("q_offsets has " + std::to_string(params.q_offsets.size()) +
                            " entries for " + std::to_string(params.sequences.size()) +
                            " sequences: supported sequences + 1");
  }
  std::vector<std::int64_t> q_lens;
  for (std::size_t i = 0; i < params.sequences.size(); ++i) {
    q_lens.push_back(params.q_offsets[i + 1] - params.q_offsets[i]);
  }
  const Result<std::unique_ptr<KvSource>> source = cache.source(params.sequences, q_lens);
  if (!source.ok()) return source.status();
  return attend(params, *source.value());
}

}  // namespace thriftattn
