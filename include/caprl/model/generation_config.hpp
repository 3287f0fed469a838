#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/io/json_fields.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/model/rotary_config.hpp"

namespace caprl {

/// How a model's publisher means it to write, of a folder's generation_config.json. Defaults: those of transformers
/// 5.24, for fields that are absent.
struct GenerationConfig {
  bool draws = false;               ///< "do_sample"; false: the likeliest token each time, whatever the next three say
  double temperature = 1;           ///< above 0
  Index top_k = 50;                 ///< 0: all
  double top_p = 1;                 ///< 0 to 1
  double repetition_penalty = 1;    ///< above 0
  std::vector<Token> end_tokens{};  ///< "eos_token_id": each ends what is written
};

namespace detail {

/// One number or a list of them.
inline std::vector<Token> read_end_tokens(const JsonFields& fields) {
  constexpr const char* name = "eos_token_id";
  const auto tokens =
      fields.raw(name).is_array() ? fields.get<std::vector<Token>>(name) : std::vector<Token>{fields.get<Token>(name)};
  for (const Token token : tokens) {
    if (token < 0) throw fields.error(name, "expected tokens of at least 0, got " + std::to_string(token));
  }
  return tokens;
}

/// The fields that are there, in the place of those of `config`.
inline GenerationConfig read_generation_config(const JsonFields& fields, GenerationConfig config) {
  config.draws = fields.get_or("do_sample", config.draws);
  config.temperature = get_positive_number_or(fields, "temperature", config.temperature);
  config.top_k = fields.get_or("top_k", config.top_k);
  if (config.top_k < 0) throw fields.error("top_k", "expected at least 0, got " + std::to_string(config.top_k));
  config.top_p = fields.get_or("top_p", config.top_p);
  if (!(config.top_p >= 0 && config.top_p <= 1)) {
    throw fields.error("top_p", "expected a number from 0 to 1, got " + std::to_string(config.top_p));
  }
  config.repetition_penalty = get_positive_number_or(fields, "repetition_penalty", config.repetition_penalty);
  if (fields.has("eos_token_id")) config.end_tokens = read_end_tokens(fields);
  return config;
}

}  // namespace detail

/// Reads `folder`/generation_config.json. Where there is no such file, config.json may have the same fields, or its
/// text_config, which comes second; a generation_config.json without end tokens has none, whatever config.json says. So
/// does transformers 5.24. Other fields, such as those of beam search, are not looked at. Throws Error naming a field
/// that is not as expected.
inline GenerationConfig load_generation_config(const std::filesystem::path& folder) {
  const std::filesystem::path own = folder / "generation_config.json", model = folder / "config.json";
  const bool has_own = std::filesystem::exists(own);
  if (!has_own && !std::filesystem::exists(model)) return {};
  const std::filesystem::path& file = has_own ? own : model;
  const Json json = load_json(file);
  const JsonFields fields(json, file.string());
  GenerationConfig config;
  if (!has_own && fields.has("text_config")) {
    config = detail::read_generation_config(fields.object("text_config"), config);
  }
  return detail::read_generation_config(fields, config);
}

/// What `load_generation_config` reads; how it draws is not written for a model that takes the likeliest token.
inline Json generation_config_json(const GenerationConfig& config) {
  Json json{{"do_sample", config.draws}, {"repetition_penalty", config.repetition_penalty}};
  if (config.draws) {
    json["temperature"] = config.temperature;
    json["top_k"] = config.top_k;
    json["top_p"] = config.top_p;
  }
  if (!config.end_tokens.empty()) json["eos_token_id"] = config.end_tokens;
  return json;
}

}  // namespace caprl
