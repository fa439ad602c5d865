// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The sub-commands. Each adds itself to the app and runs when it was named.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>

namespace thriftattn::cli {

void add_eval(CLI::App& app);
void add_bench(CLI::App& app);
void add_inspect(CLI::App& app);

// A number from `low` to `high`; unlike CLI::Range it refuses NaN.
inline CLI::Validator within(double low, double high) {
  return {[low, high](std::string& text) {
            double value = 0;
            const bool number = CLI::detail::lexical_cast(text, value);
            return number && value >= low && value <= high
                       ? std::string()
                       : fmt::format("{}: supported {:g} to {:g}", text, low, high);
          },
          fmt::format("in [{:g} - {:g}]", low, high)};
}

}  // namespace thriftattn::cli
