// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The sub-commands. Each adds itself to the app and runs when it was named.
#pragma once

#include <CLI/CLI.hpp>

namespace thriftattn::cli {

void add_eval(CLI::App& app);
void add_bench(CLI::App& app);
void add_inspect(CLI::App& app);

}  // namespace thriftattn::cli
