// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "models.h"

#include <array>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "error.h"
#include "files.h"

namespace thriftattn::cli {
namespace {

namespace fs = std::filesystem;

struct KnownModel {
  const char* name;
  const char* file;
};
constexpr KnownModel kKnownModels[] = {
    {"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"},
    {"gemma3-270m", "gemma-3-270m-q4_k_m.gguf"},
};

// Candidates for a fetched file, best first.
std::vector<fs::path> fetched(const char* folder, const char* variable, const char* file) {
  if (const char* given = std::getenv(variable); given != nullptr && *given != 0) {
    return {fs::path(given) / file};
  }
  const fs::path build = executable_folder().parent_path();
  // The folder of a preset lies inside build/.
  return {build / folder / file, build.parent_path() / folder / file,
          fs::path("build") / folder / file};
}

fs::path first_existing(const std::vector<fs::path>& candidates) {
  std::error_code error;
  for (const fs::path& path : candidates) {
    if (fs::exists(path, error)) return path;
  }
  return {};
}

void check_gguf(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw failure("model {}: no such file; known names: smollm2, gemma3-270m", path.string());
  }
  if (!fs::is_regular_file(path, error)) throw failure("model {}: not a file", path.string());
  std::ifstream in(path, std::ios::binary);
  std::array<char, 4> magic{};
  if (!in.read(magic.data(), magic.size())) {
    throw failure("model {}: cannot be read", path.string());
  }
  if (std::string(magic.data(), magic.size()) != "GGUF") {
    throw failure("model {}: not a GGUF file", path.string());
  }
}

}  // namespace

fs::path find_model(const std::string& name) {
  for (const KnownModel& known : kKnownModels) {
    if (name != known.name) continue;
    const auto candidates = fetched("models", "THRIFTATTN_MODELS", known.file);
    const fs::path path = first_existing(candidates);
    if (path.empty()) {
      throw failure("model {}: no {}; get it with: scripts/get_model.sh {}", name,
                    candidates.front().string(), name);
    }
    check_gguf(path);
    return path;
  }
  check_gguf(name);
  return name;
}

std::string model_name(const fs::path& file) {
  for (const KnownModel& known : kKnownModels) {
    if (file.filename() == known.file) return known.name;
  }
  return file.stem().string();
}

fs::path find_text(const std::string& path) {
  if (!path.empty()) return path;
  const auto candidates = fetched("texts", "THRIFTATTN_TEXTS", "genesis.txt");
  const fs::path found = first_existing(candidates);
  if (found.empty()) {
    throw failure("text: no {}; give --text FILE or make it with: scripts/get_text.sh",
                  candidates.front().string());
  }
  return found;
}

}  // namespace thriftattn::cli
