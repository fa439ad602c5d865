// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>
#include <utility>

#include "safetensors_header.h"

namespace thriftattn::cli {
namespace {

static_assert(std::endian::native == std::endian::little);
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxHeaderBytes = 1 << 20;
constexpr std::size_t kAlignment = 8;  // of the data, by spaces behind the header

Status wrong(const std::string& what) { return invalid_argument("safetensors: " + what); }

// One tensor's place in the data, checked by itself.
Result<StoredTensor> describe(const std::string& name, const HeaderEntry& entry,
                              std::int64_t data_bytes) {
  StoredTensor tensor;
  if (entry.dtype == "F16") {
    tensor.dtype = DType::kF16;
  } else if (entry.dtype != "F32") {
    return wrong("tensor " + name + ": dtype " + entry.dtype + ": supported F16, F32");
  }
  tensor.shape = entry.shape;
  const Result<std::int64_t> bytes = packed_bytes(tensor.dtype, tensor.shape);
  if (!bytes.ok()) return bytes.status();
  if (entry.offsets[0] > entry.offsets[1] || entry.offsets[1] > data_bytes) {
    return wrong("tensor " + name + ": from " + std::to_string(entry.offsets[0]) + " to " +
                 std::to_string(entry.offsets[1]) + " of " + std::to_string(data_bytes) + " bytes");
  }
  if (entry.offsets[1] - entry.offsets[0] != bytes.value()) {
    return wrong("tensor " + name + ": its shape takes " + std::to_string(bytes.value()) +
                 " bytes, its offsets " + std::to_string(entry.offsets[1] - entry.offsets[0]));
  }
  return tensor;
}

// The tensors lie one behind the other, from the first byte of the data to the last.
Status check_tiling(const SafeTensorsHeader& header, std::int64_t data_bytes) {
  std::vector<std::pair<std::int64_t, std::int64_t>> places;
  for (const auto& [name, entry] : header.tensors) {
    places.emplace_back(entry.offsets[0], entry.offsets[1]);
  }
  std::sort(places.begin(), places.end());
  std::int64_t end = 0;
  for (const auto& [first, last] : places) {
    if (first != end) return wrong("a hole or an overlap at byte " + std::to_string(end));
    end = last;
  }
  if (end != data_bytes) {
    return wrong("tensors end at " + std::to_string(end) + " of " + std::to_string(data_bytes) +
                 " bytes");
  }
  return {};
}

}  // namespace

Result<std::int64_t> packed_bytes(DType dtype, std::span<const std::int64_t> shape) {
  std::int64_t bytes = dtype == DType::kF32 ? 4 : 2;
  for (const std::int64_t size : shape) {
    if (size < 0 || (size > 0 && bytes > std::numeric_limits<std::int64_t>::max() / size)) {
      return wrong("a dimension of " + std::to_string(size) + " in a shape that is too large");
    }
    bytes *= size;
  }
  return bytes;
}

Result<std::string> to_safetensors(const SafeTensors& content) {
  std::string header = "{";
  if (!content.metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : content.metadata) {
      header += (header.back() == '{' ? "" : ",") + json_string(key) + ":" + json_string(value);
    }
    header += "}";
  }
  std::string data;
  for (const auto& [name, tensor] : content.tensors) {
    const Result<std::int64_t> bytes = packed_bytes(tensor.dtype, tensor.shape);
    if (!bytes.ok()) return bytes.status();
    if (tensor.dtype == DType::kBF16 || std::cmp_not_equal(tensor.bytes.size(), bytes.value())) {
      return wrong("tensor " + name + ": BF16, or bytes that do not fit its shape");
    }
    std::string shape;
    for (const std::int64_t size : tensor.shape) {
      shape += (shape.empty() ? "" : ",") + std::to_string(size);
    }
    const std::size_t end = data.size() + tensor.bytes.size();
    header += (header.size() == 1 ? "" : ",") + json_string(name) + ":{\"dtype\":\"" +
              (tensor.dtype == DType::kF16 ? "F16" : "F32") + "\",\"shape\":[" + shape +
              "],\"data_offsets\":[" + std::to_string(data.size()) + "," + std::to_string(end) +
              "]}";
    data.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  header += "}";
  header.append((kAlignment - header.size() % kAlignment) % kAlignment, ' ');
  const std::uint64_t length = header.size();
  std::string file(kLengthBytes, '\0');
  std::memcpy(file.data(), &length, kLengthBytes);
  return file + header + data;
}

Result<SafeTensors> from_safetensors(std::string_view bytes) {
  std::uint64_t length = 0;
  if (bytes.size() < kLengthBytes) return wrong("no room for the header's length");
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes || length > bytes.size() - kLengthBytes) {
    return wrong("a header of " + std::to_string(length) + " bytes in a file of " +
                 std::to_string(bytes.size()) + "; supported up to 1 MiB");
  }
  const auto header_bytes = static_cast<std::size_t>(length);
  const Result<SafeTensorsHeader> header = parse_header(bytes.substr(kLengthBytes, header_bytes));
  if (!header.ok()) return header.status();
  const std::string_view data = bytes.substr(kLengthBytes + header_bytes);
  const auto data_bytes = static_cast<std::int64_t>(data.size());
  SafeTensors content;
  content.metadata = header.value().metadata;
  for (const auto& [name, entry] : header.value().tensors) {
    Result<StoredTensor> tensor = describe(name, entry, data_bytes);
    if (!tensor.ok()) return tensor.status();
    content.tensors[name] = std::move(tensor.value());
  }
  if (Status s = check_tiling(header.value(), data_bytes); !s.ok()) return s;
  for (const auto& [name, entry] : header.value().tensors) {
    const auto* first = reinterpret_cast<const std::byte*>(data.data()) + entry.offsets[0];
    content.tensors[name].bytes.assign(first, first + (entry.offsets[1] - entry.offsets[0]));
  }
  return content;
}

Result<SafeTensors> read_safetensors(const std::filesystem::path& path, std::int64_t max_bytes) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return Status{StatusCode::kNotFound, path.string() + ": cannot be opened"};
  const std::int64_t size = in.tellg();
  if (size < 0 || size > max_bytes) {
    return wrong(path.string() + " has " + std::to_string(size) + " bytes; supported up to " +
                 std::to_string(max_bytes));
  }
  std::string bytes(static_cast<std::size_t>(size), '\0');
  in.seekg(0);
  if (!in.read(bytes.data(), size)) return wrong(path.string() + ": cannot be read");
  Result<SafeTensors> content = from_safetensors(bytes);
  if (!content.ok()) {
    return Status{content.status().code(), path.string() + ": " + content.status().message()};
  }
  return content;
}

}  // namespace thriftattn::cli
