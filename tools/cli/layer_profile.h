// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The mass profile of a captured layer.
#pragma once

#include "captured_layer.h"
#include "mass_profile.h"

namespace thriftattn::cli {

// In 32 bit from the rows that it holds.
MassProfile profile_of(const CapturedLayer& layer);

}  // namespace thriftattn::cli
