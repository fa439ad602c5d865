// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "weights.h"

#include <gguf.h>
#include <llama.h>

#include <cstring>

#include "error.h"
#include "files.h"

namespace thriftattn::cli {
namespace {

namespace fs = std::filesystem;

// general.file_type of the file, or -1 where it does not say.
int file_type(const fs::path& model) {
  gguf_context* gguf = gguf_init_from_file(model.c_str(), {.no_alloc = true, .ctx = nullptr});
  if (gguf == nullptr) throw failure("model {}: corrupt GGUF header", model.string());
  const int64_t key = gguf_find_key(gguf, "general.file_type");
  const int type = key >= 0 && gguf_get_kv_type(gguf, key) == GGUF_TYPE_UINT32
                       ? static_cast<int>(gguf_get_val_u32(gguf, key))
                       : -1;
  gguf_free(gguf);
  return type;
}

bool wide_enough(int type, Weights weights) {
  return type == LLAMA_FTYPE_ALL_F32 ||
         (type == LLAMA_FTYPE_MOSTLY_F16 && weights == Weights::kF16);
}

bool newer(const fs::path& copy, const fs::path& model) {
  std::error_code error;
  return fs::exists(copy, error) &&
         fs::last_write_time(copy, error) >= fs::last_write_time(model, error) && !error;
}

}  // namespace

Weights parse_weights(const std::string& name) {
  for (Weights weights : {Weights::kF16, Weights::kF32, Weights::kAsIs}) {
    if (name == to_string(weights)) return weights;
  }
  throw usage_error("--weights {}: unknown; supported: f16, f32, as-is", name);
}

const char* to_string(Weights weights) {
  switch (weights) {
    case Weights::kF16:
      return "f16";
    case Weights::kF32:
      return "f32";
    case Weights::kAsIs:
      break;
  }
  return "as-is";
}

fs::path expand_weights(const fs::path& model, Weights weights, int threads) {
  const int type = file_type(model);
  if (weights == Weights::kAsIs || wide_enough(type, weights)) return model;
  const fs::path copy =
      model.parent_path() / fmt::format("{}.{}.gguf", model.stem().string(), to_string(weights));
  if (newer(copy, model)) return copy;

  check_writable(copy);
  fmt::print(stderr, "expanding weights to {} (once): {}\n", to_string(weights), copy.string());
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.nthread = threads;
  params.ftype = weights == Weights::kF16 ? LLAMA_FTYPE_MOSTLY_F16 : LLAMA_FTYPE_ALL_F32;
  params.allow_requantize = true;
  const fs::path part = part_name(copy);
  std::error_code error;
  if (llama_model_quantize(model.c_str(), part.c_str(), &params) != 0) {
    fs::remove(part, error);
    throw failure("model {}: weights cannot be expanded to {} (corrupt file or full disk)",
                  model.string(), to_string(weights));
  }
  fs::rename(part, copy, error);
  if (error) throw failure("{}: cannot be written: {}", copy.string(), error.message());
  return copy;
}

}  // namespace thriftattn::cli
