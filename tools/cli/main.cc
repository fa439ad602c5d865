// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The thriftattn command. Exit codes: 0 done, 1 failure, 2 wrong usage; errors are one line on
// stderr.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <string>
#include <vector>

#include "commands.h"
#include "cpu_info.h"
#include "error.h"
#include "thriftattn/device.h"
#include "version_text.h"

namespace thriftattn::cli {
namespace {

std::string describe_version() {
  std::string text =
      fmt::format("thriftattn {}\ncpu  {} ({} CPUs)\n", version_text(), cpu_model(), cpu_count());
  const Result<std::string> active = active_isa();
  for (const IsaInfo& isa : list_isas()) {
    const bool used = active.ok() && active.value() == isa.name;
    const std::string note =
        isa.supported ? (used ? "in use" : "supported") : "not supported: lacks " + isa.missing;
    text += fmt::format("isa  {:<7} {}\n", isa.name, note);
  }
  if (!active.ok()) text += active.status().message() + "\n";
  return text + "built with  ggml module, eval, bench, inspect";
}

int print_error(int exit_code, std::string message) {
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  fmt::print(stderr, "thriftattn: {}\n", message);
  return exit_code;
}

int run(int argc, char** argv) {
  CLI::App app("Attention over an FP4 KV cache with promoted blocks", "thriftattn");
  app.set_version_flag("--version", describe_version, "Version, CPU and instruction sets");
  app.set_help_all_flag("--help-all", "Help of every command");
  app.require_subcommand(1);
  add_eval(app);
  add_bench(app);
  add_inspect(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    const std::vector<std::string> unknown = app.remaining();
    return print_error(kExitUsage, unknown.empty()
                                       ? std::string(error.what()) + "; see --help"
                                       : fmt::format("'{}': unknown; supported: eval, bench, "
                                                     "inspect, --help, --version",
                                                     unknown.front()));
  } catch (const CliError& error) {
    return print_error(error.exit_code(), error.what());
  } catch (const std::exception& error) {
    return print_error(kExitFailure, error.what());
  }
  return 0;
}

}  // namespace
}  // namespace thriftattn::cli

int main(int argc, char** argv) { return thriftattn::cli::run(argc, argv); }
