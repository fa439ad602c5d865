// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Files of named tensors in the safetensors format: 8 bytes with the length of a JSON header, the
// header, the data. F16 and F32. A file that is read may come from anywhere: sizes, offsets and
// types are checked before any data is touched. Needs the standard library alone, so that
// benchmarks and tests on a GPU machine can use it too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "thriftattn/status.h"
#include "thriftattn/tensor.h"

namespace thriftattn::cli {

struct StoredTensor {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;  // packed, little endian
};

struct SafeTensors {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

// The bytes of a file. Fails on a dtype that is not F16 or F32 and where bytes do not fit a shape.
Result<std::string> to_safetensors(const SafeTensors& content);

// Reads such bytes. Fails, naming what is wrong, unless the tensors tile the data exactly.
Result<SafeTensors> from_safetensors(std::string_view bytes);
// Those of a file, which errors name. Fails with kNotFound where there is none, and on files of
// more than `max_bytes`.
Result<SafeTensors> read_safetensors(const std::filesystem::path& path,
                                     std::int64_t max_bytes = std::int64_t{1} << 30);

// Bytes of a tensor of this shape; fails where a size is negative or the product overflows.
Result<std::int64_t> packed_bytes(DType dtype, std::span<const std::int64_t> shape);

}  // namespace thriftattn::cli
