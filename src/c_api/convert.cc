// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "c_api/convert.h"

#include "c_api/guard.h"

namespace thriftattn::c_api {
namespace {

constexpr std::int32_t kPolicies = 5;
constexpr std::int32_t kBudgetKinds = 4;
constexpr std::int32_t kUnits = 4;
constexpr std::int32_t kScaleRules = 2;
// Sizes of the structs of ABI version 1; a later field leaves them as they are.
constexpr std::size_t kFirstSelectionSize = sizeof(thriftattn_selection);
constexpr std::size_t kFirstReportSize = sizeof(thriftattn_report);

}  // namespace

thriftattn_selection to_c(const Selection& from) {
  thriftattn_selection selection = {};
  selection.policy = static_cast<std::int32_t>(from.policy);
  selection.budget_kind = static_cast<std::int32_t>(from.budget.kind);
  selection.budget = from.budget.value;
  selection.k_share = from.budget.k_share;
  selection.v_share = from.budget.v_share;
  selection.tau = from.tau;
  selection.force_sink = from.force_sink;
  selection.force_own = from.force_own;
  selection.unit = static_cast<std::int32_t>(from.unit);
  selection.seed = from.seed;
  return selection;
}

Status read_selection(const thriftattn_selection* in, Selection* out) {
  thriftattn_selection s = to_c({});
  Status status = read_struct(in, "selection", kFirstSelectionSize, &s);
  if (status.ok()) status = check_enum("selection.policy", s.policy, kPolicies);
  if (status.ok()) status = check_enum("selection.budget_kind", s.budget_kind, kBudgetKinds);
  if (status.ok()) status = check_enum("selection.unit", s.unit, kUnits);
  if (!status.ok()) return status;
  out->policy = static_cast<Policy>(s.policy);
  out->budget = {static_cast<Budget::Kind>(s.budget_kind), s.budget, s.k_share, s.v_share};
  out->tau = s.tau;
  out->force_sink = s.force_sink != 0;
  out->force_own = s.force_own != 0;
  out->unit = static_cast<SelectionUnit>(s.unit);
  out->seed = s.seed;
  return {};
}

Status check_scale_rule(std::int32_t scale_rule) {
  return check_enum("config.scale_rule", scale_rule, kScaleRules);
}

Status read_report(const thriftattn_report* in, thriftattn_report* sums) {
  return read_struct(in, "report", kFirstReportSize, sums);
}

void add_report(const AttendReport& from, thriftattn_report* sums) {
  sums->rows += from.rows;
  sums->units += from.units;
  sums->blocks += from.blocks;
  sums->forced += from.forced;
  sums->promoted_k += from.promoted_k;
  sums->promoted_v += from.promoted_v;
  sums->tail += from.tail;
  sums->mass_covered += from.mass_covered;
  sums->mass_tail += from.mass_tail;
  sums->bytes_low += from.bytes_low;
  sums->bytes_high += from.bytes_high;
}

}  // namespace thriftattn::c_api
