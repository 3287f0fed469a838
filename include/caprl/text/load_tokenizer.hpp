#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "caprl/io/input_file.hpp"
#include "caprl/io/json_fields.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/text/default_system.hpp"
#include "caprl/text/tokenizer.hpp"
#include "caprl/text/tokenizer_json.hpp"

/// Tokenizers from tokenizer.json: apart from the rest, because it takes a JSON library.
namespace caprl {

namespace detail {

/// "chat_template" of a tokenizer_config.json: a text, or a list of named ones, of which "default" counts.
inline std::string read_chat_template(const JsonFields& fields) {
  constexpr const char* name = "chat_template";
  if (!fields.has(name)) return "";
  const Json& value = fields.raw(name);
  if (!value.is_array()) return fields.get<std::string>(name);
  for (const Json& entry : value) {
    const JsonFields named(entry, fields.where(), name);
    if (named.get<std::string>("name") == "default") return named.get<std::string>("template");
  }
  return "";
}

}  // namespace detail

/// The chat template of a tokenizer's folder, as transformers 5.24 chooses it; empty for none.
inline std::string load_chat_template(const std::filesystem::path& folder) {
  const std::filesystem::path jinja = folder / "chat_template.jinja", config = folder / "tokenizer_config.json";
  if (std::filesystem::exists(jinja)) return read_text_file(jinja);
  if (!std::filesystem::exists(config)) return "";
  const Json json = load_json(config);
  return detail::read_chat_template(JsonFields(json, config.string()));
}

inline Tokenizer Tokenizer::from_file(const std::filesystem::path& path) {
  TokenizerDefinition definition = parse_tokenizer_json(read_text_file(path), path.string());
  definition.default_system_message = caprl::default_system_message(load_chat_template(path.parent_path()));
  return Tokenizer(definition);
}

inline Tokenizer Tokenizer::from_json_text(std::string_view text, std::string source) {
  return Tokenizer(parse_tokenizer_json(text, std::move(source)));
}

}  // namespace caprl
