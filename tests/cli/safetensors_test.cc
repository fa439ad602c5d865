// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace thriftattn::cli {
namespace {

SafeTensors small() {
  SafeTensors content;
  content.tensors["k"] = {DType::kF16, {2, 1, 3}, std::vector<std::byte>(12, std::byte{7})};
  content.tensors["a \"q\""] = {DType::kF32, {}, std::vector<std::byte>(4, std::byte{9})};
  content.tensors["none"] = {DType::kF32, {0, 5}, {}};
  content.metadata["model"] = "back\\slash";
  return content;
}

// A file with this header in front of `data` bytes.
std::string file_of(const std::string& header, std::size_t data) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data, 'x');
}

std::string error_of(const std::string& bytes) {
  const Result<SafeTensors> result = from_safetensors(bytes);
  return result.ok() ? "" : result.status().message();
}

TEST(SafeTensors, ComesBackAsItWasWritten) {
  const SafeTensors content = small();
  const Result<std::string> bytes = to_safetensors(content);
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  const Result<SafeTensors> again = from_safetensors(bytes.value());
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again.value().metadata, content.metadata);
  ASSERT_EQ(again.value().tensors.size(), content.tensors.size());
  for (const auto& [name, tensor] : content.tensors) {
    const StoredTensor& other = again.value().tensors.at(name);
    EXPECT_EQ(other.dtype, tensor.dtype) << name;
    EXPECT_EQ(other.shape, tensor.shape) << name;
    EXPECT_EQ(other.bytes, tensor.bytes) << name;
  }
}

TEST(SafeTensors, ReadsWhatOthersWrite) {
  const std::string header = R"( { "b" : {"data_offsets":[4, 8], "shape":[2],"dtype":"F16"},)"
                             R"("a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]} } )";
  const Result<SafeTensors> result = from_safetensors(file_of(header, 8));
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result.value().tensors.at("b").bytes.size(), 4u);
}

TEST(SafeTensors, RefusesToWriteWhatDoesNotFit) {
  SafeTensors content = small();
  content.tensors["k"].bytes.pop_back();
  EXPECT_FALSE(to_safetensors(content).ok());
  content = small();
  content.tensors["k"].dtype = DType::kBF16;
  EXPECT_FALSE(to_safetensors(content).ok());
}

TEST(SafeTensors, RefusesEveryCutFile) {
  const std::string bytes = to_safetensors(small()).value();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(from_safetensors(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(from_safetensors(bytes + "x").ok());
}

TEST(SafeTensors, RefusesHostileHeaders) {
  const struct {
    const char* header;
    std::size_t data;
    const char* word;
  } cases[] = {
      {"", 0, "no {"},
      {"[]", 0, "no {"},
      {"{}x", 0, "text after"},
      {"{", 0, "no \""},
      {R"({"a)", 0, "without its end"},
      {R"({"a\u0041":{}})", 0, "an escape"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "without its two data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "no whole number"},
      {R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4, "no ]"},
      {R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})", 4, "supported F16, F32"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "from 4 to 0"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "from 0 to 8 of 4"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "its shape takes 8"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "a hole"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8, "end at 4 of 8"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "overlap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "named twice"},
      {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4, "8 dim"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0, "large"},
      {R"({"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}})", 4, "large"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"extra":{}}})", 4, "unknown key"},
  };
  for (const auto& c : cases) {
    const std::string error = error_of(file_of(c.header, c.data));
    EXPECT_NE(error.find(c.word), std::string::npos) << c.header << ": '" << error << "'";
  }
}

TEST(SafeTensors, RefusesALengthBeyondTheFile) {
  std::string bytes = file_of("{}", 0);
  bytes[7] = '\x7f';
  EXPECT_NE(error_of(bytes).find("a header of"), std::string::npos);
  bytes = file_of(std::string(2 << 20, ' '), 0);
  EXPECT_NE(error_of(bytes).find("up to 1 MiB"), std::string::npos);
}

TEST(SafeTensors, ReadsFilesUpToALimit) {
  const std::filesystem::path path = ::testing::TempDir() + "/small.safetensors";
  const std::string bytes = to_safetensors(small()).value();
  std::ofstream(path, std::ios::binary) << bytes;
  const auto size = static_cast<std::int64_t>(bytes.size());
  EXPECT_TRUE(read_safetensors(path, size).ok());
  EXPECT_FALSE(read_safetensors(path, size - 1).ok());
  std::filesystem::resize_file(path, size - 1);
  const Status cut = read_safetensors(path).status();
  EXPECT_NE(cut.message().find(path.string()), std::string::npos) << cut.message();
  EXPECT_EQ(read_safetensors(path.string() + ".none").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace thriftattn::cli
