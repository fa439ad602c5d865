// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "module.h"

#include <ggml-backend.h>

#include <cstdlib>

#include "error.h"
#include "files.h"

namespace thriftattn::cli {
namespace {

namespace fs = std::filesystem;
constexpr const char* kModuleFile = "libggml-thriftattn.so";

fs::path find_module() {
  std::error_code error;
  if (const char* given = std::getenv("THRIFTATTN_MODULE"); given != nullptr && *given != 0) {
    if (!fs::exists(given, error)) throw failure("THRIFTATTN_MODULE {}: no such file", given);
    return given;
  }
  const fs::path here = executable_folder();
  for (const fs::path& folder : {here, here.parent_path() / "lib"}) {
    if (fs::exists(folder / kModuleFile, error)) return folder / kModuleFile;
  }
  throw failure("{}: not found in {} or its ../lib; set THRIFTATTN_MODULE", kModuleFile,
                here.string());
}

template <class Function>
Function find_function(ggml_backend_reg_t module, const char* name) {
  void* address = ggml_backend_reg_get_proc_address(module, name);
  if (address == nullptr) throw failure("{} has no {}: another version?", kModuleFile, name);
  return reinterpret_cast<Function>(address);
}

}  // namespace

Module Module::load() {
  const fs::path path = find_module();
  ggml_backend_reg_t reg = ggml_backend_load(path.c_str());
  if (reg == nullptr) {
    throw failure("{}: cannot be loaded into this ggml; build both from one tree", path.string());
  }
  Module module;
  module.get_options_ = find_function<thriftattn_get_options_t>(reg, "thriftattn_get_options");
  module.set_options_ = find_function<thriftattn_set_options_t>(reg, "thriftattn_set_options");
  module.get_stats_ = find_function<thriftattn_get_stats_t>(reg, "thriftattn_get_stats");
  module.reset_stats_ = find_function<thriftattn_reset_stats_t>(reg, "thriftattn_reset_stats");
  return module;
}

thriftattn_ggml_options Module::options() const {
  thriftattn_ggml_options options{};
  options.struct_size = sizeof(options);
  get_options_(&options);
  return options;
}

void Module::set_options(const thriftattn_ggml_options& options) const {
  if (const char* message = set_options_(&options)) throw usage_error("{}", message);
}

thriftattn_ggml_stats Module::stats() const {
  thriftattn_ggml_stats stats{};
  stats.struct_size = sizeof(stats);
  get_stats_(&stats);
  return stats;
}

void Module::reset_stats() const { reset_stats_(); }

}  // namespace thriftattn::cli
