// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The JSON header of a safetensors file: as much of JSON as the format has, and nothing more.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "thriftattn/status.h"

namespace thriftattn::cli {

struct HeaderEntry {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> offsets;  // begin and end in the data
};

struct SafeTensorsHeader {
  std::map<std::string, HeaderEntry> tensors;
  std::map<std::string, std::string> metadata;
};

Result<SafeTensorsHeader> parse_header(std::string_view json);
std::string json_string(std::string_view text);  // as a JSON string

}  // namespace thriftattn::cli
