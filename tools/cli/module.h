// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The ggml module, loaded into this process as llama.cpp would load it.
#pragma once

#include <filesystem>

#include "thriftattn_ggml.h"

namespace thriftattn::cli {

class Module {
 public:
  // Loads $THRIFTATTN_MODULE, or else libggml-thriftattn.so beside the executable or in ../lib.
  // Throws CliError where there is none or ggml refuses it.
  static Module load();

  [[nodiscard]] thriftattn_ggml_options options() const;
  // Takes effect at the next attention call. Throws CliError where the module refuses them.
  void set_options(const thriftattn_ggml_options& options) const;
  [[nodiscard]] thriftattn_ggml_stats stats() const;  // since the last reset
  void reset_stats() const;

 private:
  thriftattn_get_options_t get_options_ = nullptr;
  thriftattn_set_options_t set_options_ = nullptr;
  thriftattn_get_stats_t get_stats_ = nullptr;
  thriftattn_reset_stats_t reset_stats_ = nullptr;
};

}  // namespace thriftattn::cli
