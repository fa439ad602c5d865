// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/schedule.h"

#include <algorithm>
#include <atomic>
#include <new>

namespace thriftattn::engine {
namespace {

// Enough panels to keep every thread busy: each runs whole on one thread.
void run_by_panel(const CallContext& call, const std::vector<PanelPlan>& plans, Executor& executor,
                  Workspace& workspace, Outputs& outputs) {
  std::atomic<bool> failed = false;
  executor.run(static_cast<std::int64_t>(plans.size()), [&](std::int64_t i, int thread) {
    if (failed) return;
    Panel& panel = workspace.panels[thread];
    ThreadScratch& scratch = workspace.scratch[thread];
    try {  // an exception must not leave a worker thread
      panel.prepare(call, plans[i]);
      for (int s = 0; s < panel.splits(); ++s) panel.score(s, scratch);
      panel.select();
      for (int s = 0; s < panel.splits(); ++s) panel.rescore(s, scratch);
      panel.settle();
      for (int s = 0; s < panel.splits(); ++s) panel.value(s, scratch);
      panel.finish(outputs.report(i), outputs.traces());
    } catch (const std::bad_alloc&) {
      failed = true;
    }
  });
  if (failed) throw std::bad_alloc();
}

// Few panels (decode of few sequences): threads share the splits of all panels. They take items in
// one order, step by step, and an item waits until the steps of its panel before its own are done.
// These were taken earlier, so the first one that is not done never waits: any executor gets to the
// end, with any number of threads, and one wake-up serves the whole call.
class SharedPanels {
 public:
  SharedPanels(const CallContext& call, const std::vector<PanelPlan>& plans, Workspace& workspace,
               Outputs& outputs)
      : call_(call),
        plans_(plans),
        workspace_(workspace),
        outputs_(outputs),
        states_(plans.size()) {
    add_items(kPrepare);
    add_items(kScore);
    add_items(kRescore);
    add_items(kValue);
  }

  void run(Executor& executor) {
    const auto items = static_cast<std::int64_t>(items_.size());
    executor.run(std::min<std::int64_t>(executor.threads(), items),
                 [this](std::int64_t, int thread) { work(thread); });
    if (failed_) throw std::bad_alloc();
  }

 private:
  enum Step : int { kPrepare, kScore, kRescore, kValue, kSteps };
  struct Item {
    Step step;
    int panel, split;
  };
  struct State {
    std::atomic<int> step = kPrepare;  // all steps before it are done
    std::atomic<int> left[kSteps];     // items of each step that are not done
  };

  // What a panel will see is not known yet, so some of its splits may turn out to have no blocks.
  void add_items(Step step) {
    const std::int64_t length = call_.options->split_blocks;
    for (int p = 0; p < static_cast<int>(plans_.size()); ++p) {
      const std::int64_t blocks = call_.source->blocks(plans_[p].sequence);
      const std::int64_t splits = std::max<std::int64_t>(1, (blocks + length - 1) / length);
      const int count = step == kPrepare ? 1 : static_cast<int>(splits);
      states_[p].left[step] = count;
      for (int s = 0; s < count; ++s) items_.push_back({step, p, s});
    }
  }

  void work(int thread) {
    for (std::size_t i = next_++; i < items_.size(); i = next_++) {
      const Item item = items_[i];
      State& state = states_[item.panel];
      for (int step = state.step; step < item.step; step = state.step) state.step.wait(step);
      guarded([&] { compute(item, workspace_.scratch[thread]); });
      if (--state.left[item.step] > 0) continue;
      guarded([&] { conclude(item); });
      state.step = item.step + 1;
      state.step.notify_all();
    }
  }

  // After a failure the items that are left are only counted down: nobody may wait for ever.
  template <class Work>
  void guarded(const Work& work) {
    try {
      if (!failed_) work();
    } catch (const std::bad_alloc&) {
      failed_ = true;
    }
  }

  void compute(const Item& item, ThreadScratch& scratch) {
    Panel& panel = workspace_.panels[item.panel];
    if (item.step == kPrepare) return panel.prepare(call_, plans_[item.panel]);
    if (item.split >= panel.splits()) return;
    if (item.step == kScore) panel.score(item.split, scratch);
    if (item.step == kRescore) panel.rescore(item.split, scratch);
    if (item.step == kValue) panel.value(item.split, scratch);
  }

  // After the last item of a step.
  void conclude(const Item& item) {
    Panel& panel = workspace_.panels[item.panel];
    if (item.step == kScore) panel.select();
    if (item.step == kRescore) panel.settle();
    if (item.step == kValue) panel.finish(outputs_.report(item.panel), outputs_.traces());
  }

  const CallContext& call_;
  const std::vector<PanelPlan>& plans_;
  Workspace& workspace_;
  Outputs& outputs_;
  std::vector<State> states_;  // [panels]
  std::vector<Item> items_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
};

}  // namespace

void run_panels(const CallContext& call, const std::vector<PanelPlan>& plans, Executor& executor,
                Workspace& workspace, Outputs& outputs) {
  const auto threads = static_cast<std::size_t>(executor.threads());
  const bool many = plans.size() >= 2 * threads;
  const std::size_t panels = many ? threads : plans.size();
  workspace.panels.resize(std::max(workspace.panels.size(), panels));
  workspace.scratch.resize(std::max(workspace.scratch.size(), threads));
  if (many) {
    run_by_panel(call, plans, executor, workspace, outputs);
  } else {
    SharedPanels(call, plans, workspace, outputs).run(executor);
  }
}

}  // namespace thriftattn::engine
