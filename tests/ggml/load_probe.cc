// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// load_probe MODULE: loads the module as llama.cpp does and says what came of it. Exit code 0
// either way: the host goes on without a module that refuses.
#include <cstdio>

#include "ggml-backend.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: load_probe MODULE\n");
    return 2;
  }
  ggml_backend_reg_t reg = ggml_backend_load(argv[1]);
  std::printf("%s\n", reg ? "loaded" : "not loaded");
  ggml_backend_dev_t device = ggml_backend_dev_by_name("THRIFTATTN");
  if (!device) return 0;
  std::size_t free = 0;
  std::size_t total = 0;
  ggml_backend_dev_memory(device, &free, &total);
  std::printf("device %s, memory %s\n", ggml_backend_dev_description(device),
              free > 0 && free <= total ? "known" : "unknown");
  return 0;
}
