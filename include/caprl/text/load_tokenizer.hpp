#pragma once

#include <filesystem>
#include <optional>
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

/// The field "chat_template": a text, or a list of named ones, of which "default" counts.
inline std::optional<std::string> read_chat_template(const JsonFields& fields) {
  constexpr const char* name = "chat_template";
  if (!fields.has(name)) return std::nullopt;
  const Json& value = fields.raw(name);
  if (!value.is_array()) return fields.get<std::string>(name);
  for (const Json& entry : value) {
    const JsonFields named(entry, fields.where(), name);
    if (named.get<std::string>("name") == "default") return named.get<std::string>("template");
  }
  return std::nullopt;
}

}  // namespace detail

/// The chat template of a tokenizer's folder, if there is one: chat_template.jinja, else that of chat_template.json (a
/// processor's, in older folders), else that of tokenizer_config.json, as transformers 5.24 chooses.
inline std::optional<std::string> load_chat_template(const std::filesystem::path& folder) {
  const std::filesystem::path jinja = folder / "chat_template.jinja";
  if (std::filesystem::exists(jinja)) return read_text_file(jinja);
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    const std::filesystem::path file = folder / name;
    if (!std::filesystem::exists(file)) continue;
    const Json json = load_json(file);
    if (auto found = detail::read_chat_template(JsonFields(json, file.string()))) return found;
  }
  return std::nullopt;
}

inline Tokenizer Tokenizer::from_file(const std::filesystem::path& path) {
  TokenizerDefinition definition = parse_tokenizer_json(read_text_file(path), path.string());
  if (const auto chat_template = load_chat_template(path.parent_path())) {
    definition.default_system_message = caprl::default_system_message(*chat_template);
  }
  return Tokenizer(definition);
}

inline Tokenizer Tokenizer::from_json_text(std::string_view text, std::string source) {
  return Tokenizer(parse_tokenizer_json(text, std::move(source)));
}

}  // namespace caprl
