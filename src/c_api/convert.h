// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What the C APIs of every backend convert alike.
#pragma once

#include "thriftattn/attention.h"
#include "thriftattn/c_api.h"

namespace thriftattn::c_api {

thriftattn_selection to_c(const Selection& from);
// Fields that an older struct lacks are the default's.
Status read_selection(const thriftattn_selection* in, Selection* out);

Status read_report(const thriftattn_report* in, thriftattn_report* sums);
void add_report(const AttendReport& from, thriftattn_report* sums);

// Config is a C cache config: all of them name these fields alike.
template <class Config>
void write_numerics(const Numerics& from, Config* config) {
  config->scale_rule = static_cast<std::int32_t>(from.scale_rule);
  config->centre_k = from.centre_k;
  config->token_norms = from.token_norms;
}

Status check_scale_rule(std::int32_t scale_rule);
template <class Config>
Status read_numerics(const Config& config, Numerics* out) {
  Status status = check_scale_rule(config.scale_rule);
  if (!status.ok()) return status;
  *out = {static_cast<ScaleRule>(config.scale_rule), config.centre_k != 0, config.token_norms != 0};
  return {};
}

}  // namespace thriftattn::c_api
