// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What attend refuses, and how it says so.
#pragma once

#include "thriftattn/attention.h"

namespace thriftattn::engine {

// Everything about a call that can be wrong before it runs: shapes, offsets, options, replay.
Status validate(const AttendParams& params, const KvSource& source);

}  // namespace thriftattn::engine
