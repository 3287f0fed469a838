#pragma once

#include <cmath>
#include <string>
#include <variant>
#include <vector>

#include "caprl/io/json_fields.hpp"
#include "caprl/nn/rotary_frequencies.hpp"

namespace caprl {

namespace detail {

inline double read_positive_number(const JsonFields& fields, const std::string& name, double value) {
  if (!(std::isfinite(value) && value > 0)) {
    throw fields.error(name, "expected a number above 0, got " + std::to_string(value));
  }
  return value;
}

inline double get_positive_number(const JsonFields& fields, const std::string& name) {
  return read_positive_number(fields, name, fields.get<double>(name));
}

inline double get_positive_number_or(const JsonFields& fields, const std::string& name, double fallback) {
  return read_positive_number(fields, name, fields.get_or<double>(name, fallback));
}

/// The first context that a stretched one is counted from: the model's own if the file does not say.
inline Index read_original_positions(const JsonFields& fields, Index maximum_positions) {
  const auto positions = fields.get_or<Index>("original_max_position_embeddings", maximum_positions);
  if (positions < 1) {
    throw fields.error("original_max_position_embeddings", "expected at least 1, got " + std::to_string(positions));
  }
  return positions;
}

inline Llama3Rope read_llama3_rope(const JsonFields& fields, Index maximum_positions) {
  const Llama3Rope rope{.factor = get_positive_number(fields, "factor"),
                        .low_freq_factor = get_positive_number(fields, "low_freq_factor"),
                        .high_freq_factor = get_positive_number(fields, "high_freq_factor"),
                        .original_max_position_embeddings = read_original_positions(fields, maximum_positions)};
  if (rope.low_freq_factor >= rope.high_freq_factor) {
    throw fields.error("high_freq_factor", "expected more than low_freq_factor");
  }
  return rope;
}

inline YarnRope read_yarn_rope(const JsonFields& fields, Index maximum_positions) {
  for (const char* name : {"mscale", "mscale_all_dim"}) {
    if (fields.has(name)) throw fields.error(name, "expected none (only attention_factor is known)");
  }
  if (!fields.get_or<bool>("truncate", true)) throw fields.error("truncate", "expected true, got false");
  YarnRope rope{.factor = get_positive_number(fields, "factor"),
                .beta_fast = get_positive_number_or(fields, "beta_fast", 32),
                .beta_slow = get_positive_number_or(fields, "beta_slow", 1),
                .original_max_position_embeddings = read_original_positions(fields, maximum_positions),
                .attention_factor = {}};
  if (fields.has("attention_factor")) rope.attention_factor = get_positive_number(fields, "attention_factor");
  return rope;
}

/// transformers 5 has "rope_type", earlier versions "type".
inline std::string read_rope_type(const JsonFields& fields) {
  return fields.has("rope_type") ? fields.get<std::string>("rope_type") : fields.get_or<std::string>("type", "default");
}

}  // namespace detail

/// Reads the rotary angles of a config.json: "rope_parameters", where transformers 5 writes them, or "rope_theta" with
/// "rope_scaling", as before. "mrope_section" may stand beside any kind of scaling; where it was the only thing to say,
/// earlier versions call the kind "mrope". `default_theta`: where none is said. Throws Error for a kind of scaling that
/// is not known, and where both are there and differ.
inline RotaryFrequencies read_rotary_frequencies(const JsonFields& config, Index maximum_positions,
                                                 double default_theta) {
  RotaryFrequencies rotary{.theta = detail::get_positive_number_or(config, "rope_theta", default_theta), .scaling = {}};
  const char* name = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!config.has(name)) return rotary;
  if (config.has("rope_scaling") && config.raw("rope_scaling") != config.raw(name)) {
    throw config.error("rope_scaling",
                       "expected none, or the same, beside rope_parameters, got another; put it there instead");
  }
  const JsonFields fields = config.object(name);
  rotary.theta = detail::get_positive_number_or(fields, "rope_theta", rotary.theta);
  if (fields.get_or<double>("partial_rotary_factor", 1.0) != 1.0) {
    throw fields.error("partial_rotary_factor", "expected 1: all of a head's features are turned");
  }
  if (fields.has("mrope_section")) rotary.sections = fields.get<std::vector<Index>>("mrope_section");
  rotary.interleaved = fields.get_or<bool>("mrope_interleaved", false) && !rotary.sections.empty();
  const std::string type = detail::read_rope_type(fields);
  if (type == "linear") {
    rotary.scaling = LinearRope{.factor = detail::get_positive_number(fields, "factor")};
  } else if (type == "llama3") {
    rotary.scaling = detail::read_llama3_rope(fields, maximum_positions);
  } else if (type == "yarn") {
    rotary.scaling = detail::read_yarn_rope(fields, maximum_positions);
  } else if (type != "default" && !(type == "mrope" && !rotary.sections.empty())) {
    throw fields.error(fields.has("rope_type") ? "rope_type" : "type",
                       "expected default, linear, llama3 or yarn, got \"" + type + "\"");
  }
  return rotary;
}

namespace detail {

inline Json rope_scaling(std::monostate) { return nullptr; }
inline Json rope_scaling(const LinearRope& rope) { return {{"rope_type", "linear"}, {"factor", rope.factor}}; }
inline Json rope_scaling(const Llama3Rope& rope) {
  return {{"rope_type", "llama3"},
          {"factor", rope.factor},
          {"low_freq_factor", rope.low_freq_factor},
          {"high_freq_factor", rope.high_freq_factor},
          {"original_max_position_embeddings", rope.original_max_position_embeddings}};
}
inline Json rope_scaling(const YarnRope& rope) {
  Json json = {{"rope_type", "yarn"},
               {"factor", rope.factor},
               {"beta_fast", rope.beta_fast},
               {"beta_slow", rope.beta_slow},
               {"original_max_position_embeddings", rope.original_max_position_embeddings}};
  if (rope.attention_factor) json["attention_factor"] = *rope.attention_factor;
  return json;
}

}  // namespace detail

/// Writes "rope_theta" and, if the angles are stretched, "rope_scaling": what all versions of transformers read.
inline void write_rotary_frequencies(const RotaryFrequencies& rotary, Json& config) {
  config["rope_theta"] = rotary.theta;
  Json scaling = std::visit([](const auto& rope) { return detail::rope_scaling(rope); }, rotary.scaling);
  if (!rotary.sections.empty()) {
    if (scaling.is_null() && rotary.interleaved) scaling = {{"rope_type", "default"}};
    if (scaling.is_null()) scaling = {{"type", "mrope"}};
    scaling["mrope_section"] = rotary.sections;
    if (rotary.interleaved) scaling["mrope_interleaved"] = true;
  }
  if (!scaling.is_null()) config["rope_scaling"] = scaling;
}

}  // namespace caprl
