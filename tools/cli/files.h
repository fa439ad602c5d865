// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Files of the command: where it lives, reading, and writing that is never seen half done.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace thriftattn::cli {

// Folder of the running executable; the current folder where the system does not tell.
std::filesystem::path executable_folder();

// The whole file. Throws CliError where it cannot be read or is empty; `what` names it in the
// message.
std::string read_file(const std::filesystem::path& path, std::string_view what);

// Writes beside `path` and renames. Throws CliError; an older file is then untouched.
void write_file(const std::filesystem::path& path, std::string_view content);

// Throws CliError where write_file(path) would fail: for wishes whose work takes minutes.
void check_writable(const std::filesystem::path& path);

// The name that write_file and others use before renaming.
std::filesystem::path part_name(const std::filesystem::path& path);

}  // namespace thriftattn::cli
