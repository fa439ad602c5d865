// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "safetensors_header.h"

#include <limits>

namespace thriftattn::cli {
namespace {

constexpr std::size_t kMaxRank = 8;

// Reads forward; after the first mistake everything fails and `error` says what it was.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<SafeTensorsHeader> run() {
    SafeTensorsHeader header;
    object([&](std::string name) {
      if (name == "__metadata__") {
        object([&](std::string key) { header.metadata[std::move(key)] = string(); });
      } else if (header.tensors.contains(name)) {
        fail("tensor " + name + ": named twice");
      } else {
        header.tensors[std::move(name)] = entry();
      }
    });
    skip_space();
    if (place_ != text_.size()) fail("text after the header's object");
    if (!error_.empty()) return invalid_argument("safetensors header: " + error_);
    return header;
  }

 private:
  HeaderEntry entry() {
    HeaderEntry entry;
    object([&](const std::string& key) {
      if (key == "dtype") {
        entry.dtype = string();
      } else if (key == "shape") {
        entry.shape = numbers();
      } else if (key == "data_offsets") {
        entry.offsets = numbers();
      } else {
        fail("unknown key " + key);
      }
    });
    if (entry.offsets.size() != 2) fail("a tensor without its two data_offsets");
    return entry;
  }

  // value(key) reads what stands behind each key.
  template <class Value>
  void object(const Value& value) {
    expect('{');
    if (accept('}')) return;
    do {
      std::string key = string();
      expect(':');
      if (ok()) value(std::move(key));
    } while (ok() && accept(','));
    expect('}');
  }

  std::vector<std::int64_t> numbers() {
    std::vector<std::int64_t> values;
    expect('[');
    if (accept(']')) return values;
    do {
      values.push_back(number());
      if (values.size() > kMaxRank) fail("more than 8 dimensions");
    } while (ok() && accept(','));
    expect(']');
    return values;
  }

  std::int64_t number() {
    skip_space();
    std::int64_t value = 0;
    const std::size_t begin = place_;
    for (; place_ < text_.size() && text_[place_] >= '0' && text_[place_] <= '9'; ++place_) {
      const int digit = text_[place_] - '0';
      if (value > (std::numeric_limits<std::int64_t>::max() - digit) / 10) {
        fail("a number that is too large");
        return 0;
      }
      value = 10 * value + digit;
    }
    if (place_ == begin) fail("no whole number at byte " + std::to_string(place_));
    return value;
  }

  std::string string() {
    std::string value;
    expect('"');
    while (ok()) {
      if (place_ == text_.size()) {
        fail("a string without its end");
        break;
      }
      const char c = text_[place_++];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      value += c == '\\' ? escaped() : c;
    }
    return value;
  }

  // Of the escapes those that json_string() writes.
  char escaped() {
    const char c = place_ < text_.size() ? text_[place_++] : '\0';
    if (c != '"' && c != '\\' && c != '/') fail("an escape other than \\\" \\\\ \\/");
    return c;
  }

  bool accept(char wanted) {
    skip_space();
    if (!ok() || place_ == text_.size() || text_[place_] != wanted) return false;
    ++place_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string("no ") + wanted + " at byte " + std::to_string(place_));
  }
  void skip_space() {
    while (place_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[place_]) != std::string_view::npos) {
      ++place_;
    }
  }
  void fail(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }
  [[nodiscard]] bool ok() const { return error_.empty(); }

  std::string_view text_;
  std::size_t place_ = 0;
  std::string error_;
};

}  // namespace

Result<SafeTensorsHeader> parse_header(std::string_view json) { return Parser(json).run(); }

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result + "\"";
}

}  // namespace thriftattn::cli
