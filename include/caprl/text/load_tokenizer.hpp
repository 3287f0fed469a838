#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "caprl/io/input_file.hpp"
#include "caprl/text/tokenizer.hpp"
#include "caprl/text/tokenizer_json.hpp"

/// Tokenizers from tokenizer.json: apart from the rest, because it takes a JSON library.
namespace caprl {

inline Tokenizer Tokenizer::from_file(const std::filesystem::path& path) {
  return from_json_text(read_text_file(path), path.string());
}

inline Tokenizer Tokenizer::from_json_text(std::string_view text, std::string source) {
  return Tokenizer(parse_tokenizer_json(text, std::move(source)));
}

}  // namespace caprl
