// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Models and texts by name: what scripts/get_model.sh and scripts/get_text.sh have fetched.
#pragma once

#include <filesystem>
#include <string>

namespace thriftattn::cli {

// `name` is a known name (smollm2, gemma3-270m) or the path of a GGUF file. Names are looked up in
// $THRIFTATTN_MODELS, or else in models/ of the build folder. Throws CliError where there is no
// such file or it is not GGUF.
std::filesystem::path find_model(const std::string& name);

// The known name of a model file, else the file's name without its ending.
std::string model_name(const std::filesystem::path& file);

// The default text, texts/genesis.txt of the build folder, where `path` is empty.
std::filesystem::path find_text(const std::string& path);

}  // namespace thriftattn::cli
