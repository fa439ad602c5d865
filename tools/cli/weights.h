// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The model file that an evaluation runs: weights expanded to 16 or 32 bit.
//
// ggml rounds activations to 8 bit wherever weights are 8 bit or less, which amplifies the smallest
// change of an attention output to more than the differences that are measured here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace thriftattn::cli {

enum class Weights : std::uint8_t { kF16, kF32, kAsIs };

// Throws CliError for a name other than f16, f32, as-is.
Weights parse_weights(const std::string& name);
const char* to_string(Weights weights);

// The file to load: `model` itself if its weights are as wide already, else an expanded copy beside
// it that is made once and kept. Throws CliError.
std::filesystem::path expand_weights(const std::filesystem::path& model, Weights weights,
                                     int threads);

}  // namespace thriftattn::cli
