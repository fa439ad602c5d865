// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The version as text.
#pragma once

#include <fmt/format.h>

#include <string>

#include "thriftattn/version.h"

namespace thriftattn::cli {

inline std::string version_text() {
  return fmt::format("{}.{}.{}", THRIFTATTN_VERSION_MAJOR, THRIFTATTN_VERSION_MINOR,
                     THRIFTATTN_VERSION_PATCH);
}

}  // namespace thriftattn::cli
