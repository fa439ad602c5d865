// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The instruction sets of this build and machine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "thriftattn/status.h"

namespace thriftattn {

struct IsaInfo {
  std::string name;        // "scalar", "avx2", "avx512"
  bool supported = false;  // by this CPU
  std::string missing;     // the CPU features it lacks, empty if supported
};

// Every ISA of this build, slowest first.
std::vector<IsaInfo> list_isas();

// Name of the ISA that attend uses: the forced one, else that of THRIFTATTN_ISA, else the fastest.
// Fails if THRIFTATTN_ISA names an ISA that is unknown or that this CPU lacks.
Result<std::string> active_isa();

// Forces an ISA by name for the whole process; an empty name goes back to the default.
// Fails for a name that is unknown or that this CPU lacks, and changes nothing then.
Status force_isa(std::string_view name);

}  // namespace thriftattn
