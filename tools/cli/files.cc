// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "error.h"

namespace thriftattn::cli {
namespace fs = std::filesystem;

fs::path executable_folder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::current_path() : self.parent_path();
}

std::string read_file(const fs::path& path, std::string_view what) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw failure("{} {}: is a folder, not a file", what, path.string());
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw failure("{} {}: {}", what, path.string(), std::strerror(errno));
  std::ostringstream content;
  content << in.rdbuf();
  if (in.bad() || content.view().empty()) {
    throw failure("{} {}: cannot be read or is empty", what, path.string());
  }
  return std::move(content).str();
}

fs::path part_name(const fs::path& path) {
  return path.string() + "." + std::to_string(getpid()) + ".part";
}

void write_file(const fs::path& path, std::string_view content) {
  const fs::path part = part_name(path);
  errno = 0;
  std::ofstream out(part, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  std::error_code error;
  if (out) {
    fs::rename(part, path, error);
    if (!error) return;
  }
  const std::string reason = error ? error.message() : std::strerror(errno);
  fs::remove(part, error);
  throw failure("{}: cannot be written: {}", path.string(), reason);
}

void check_writable(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) throw failure("{}: is a folder, not a file", path.string());
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    throw failure("{}: cannot be written: folder {}: {}", path.string(), folder.string(),
                  std::strerror(errno));
  }
}

}  // namespace thriftattn::cli
