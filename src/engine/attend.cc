// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// attend: check, cut into panels, run the four steps of each, on as many threads as there are.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <string>

#include "engine/kernel_table.h"
#include "engine/panel.h"
#include "engine/plan.h"
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

// Panels and scratch of one calling thread, kept from call to call.
struct Workspace {
  std::vector<Panel> panels;
  std::vector<ThreadScratch> scratch;
};

struct Outputs {
  std::vector<AttendReport> reports;  // [panels], added up in order; empty = not wanted
  AttendTrace trace;                  // [units]
  bool want_trace = false;

  AttendReport* report(std::int64_t panel) { return reports.empty() ? nullptr : &reports[panel]; }
  AttendTrace* traces() { return want_trace ? &trace : nullptr; }
};

// Runs tasks that may fail to allocate; an exception must not leave a worker thread.
void run_guarded(Executor& executor, std::int64_t count, const Executor::Task& task) {
  std::atomic<bool> failed = false;
  executor.run(count, [&](std::int64_t i, int thread) {
    try {
      if (!failed) task(i, thread);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
  });
  if (failed) throw std::bad_alloc();
}

// Enough panels to keep every thread busy: each runs whole on one thread.
void run_by_panel(const CallContext& call, const std::vector<PanelPlan>& plans, Executor& executor,
                  Workspace& workspace, Outputs& outputs) {
  workspace.panels.resize(std::max<std::size_t>(workspace.panels.size(), executor.threads()));
  run_guarded(executor, static_cast<std::int64_t>(plans.size()), [&](std::int64_t i, int thread) {
    Panel& panel = workspace.panels[thread];
    ThreadScratch& scratch = workspace.scratch[thread];
    panel.prepare(call, plans[i]);
    for (int s = 0; s < panel.splits(); ++s) panel.score(s, scratch);
    panel.select();
    for (int s = 0; s < panel.splits(); ++s) panel.rescore(s, scratch);
    panel.settle();
    for (int s = 0; s < panel.splits(); ++s) panel.value(s, scratch);
    panel.finish(outputs.report(i), outputs.traces());
  });
}

// Few panels (decode of few sequences): threads share the splits of all panels, step by step.
void run_by_split(const CallContext& call, const std::vector<PanelPlan>& plans, Executor& executor,
                  Workspace& workspace, Outputs& outputs) {
  struct Work {
    Panel* panel;
    int split;
  };
  std::vector<Work> work;
  workspace.panels.resize(std::max(workspace.panels.size(), plans.size()));
  for (std::size_t i = 0; i < plans.size(); ++i) {
    Panel& panel = workspace.panels[i];
    panel.prepare(call, plans[i]);
    for (int s = 0; s < panel.splits(); ++s) work.push_back({&panel, s});
  }
  const auto each_split = [&](void (Panel::*step)(int, ThreadScratch&)) {
    run_guarded(executor, static_cast<std::int64_t>(work.size()), [&](std::int64_t i, int thread) {
      (work[i].panel->*step)(work[i].split, workspace.scratch[thread]);
    });
  };
  each_split(&Panel::score);
  for (std::size_t i = 0; i < plans.size(); ++i) workspace.panels[i].select();
  each_split(&Panel::rescore);
  for (std::size_t i = 0; i < plans.size(); ++i) workspace.panels[i].settle();
  each_split(&Panel::value);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    workspace.panels[i].finish(outputs.report(static_cast<std::int64_t>(i)), outputs.traces());
  }
}

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
  workspace.scratch.resize(std::max<std::size_t>(workspace.scratch.size(), executor.threads()));
  const bool many = plans.size() >= 2 * static_cast<std::size_t>(executor.threads());
  (many ? run_by_panel : run_by_split)(call, plans, executor, workspace, outputs);

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
