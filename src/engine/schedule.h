// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Runs the panels of a call on an executor. The results never depend on how.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/panel.h"
#include "engine/plan.h"
#include "thriftattn/attention.h"
#include "thriftattn/executor.h"

namespace thriftattn::engine {

// Panels and scratch of one calling thread, kept from call to call.
struct Workspace {
  std::vector<Panel> panels;
  std::vector<ThreadScratch> scratch;
};

struct Outputs {
  std::vector<AttendReport> reports;  // [panels], added up in order; empty = not wanted
  AttendTrace trace;                  // [units]
  bool want_trace = false;

  AttendReport* report(std::size_t panel) { return reports.empty() ? nullptr : &reports[panel]; }
  AttendTrace* traces() { return want_trace ? &trace : nullptr; }
};

// Throws std::bad_alloc where a task did.
void run_panels(const CallContext& call, const std::vector<PanelPlan>& plans, Executor& executor,
                Workspace& workspace, Outputs& outputs);

}  // namespace thriftattn::engine
