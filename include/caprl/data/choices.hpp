#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/ascii.hpp"
#include "caprl/core/error.hpp"
#include "caprl/data/item.hpp"
#include "caprl/io/json_fields.hpp"

namespace caprl {

/// The letters that label options. One more must be left for "cannot answer".
inline constexpr std::size_t most_options = 25;

namespace detail {

struct LabelledOption {
  std::string label;
  std::string text;
};

/// Splits "A) text" or "A. text".
inline std::optional<LabelledOption> split_label(std::string_view option) {
  const std::string_view line = trimmed(option);
  if (line.size() < 2 || line[0] < 'A' || line[0] > 'Z' || (line[1] != ')' && line[1] != '.')) return std::nullopt;
  if (line.size() > 2 && line[2] != ' ' && line[2] != '\t') return std::nullopt;
  return LabelledOption{std::string(1, line[0]), std::string(trimmed(line.substr(2)))};
}

inline LabelledOption parse_option(const Json& option, const JsonFields& question, const std::string& field) {
  if (option.is_object()) {
    const JsonFields fields(option, question.where(), field);
    fields.require_only({"label", "text"});
    return {fields.get<std::string>("label"), std::string(trimmed(fields.get<std::string>("text")))};
  }
  if (!option.is_string()) throw question.error(field, "expected \"A) text\", got " + json_type(option));
  const auto labelled = split_label(option.get_ref<const std::string&>());
  if (!labelled) throw question.error(field, "expected \"A) text\" or \"A. text\", got " + option.dump());
  return *labelled;
}

/// The options of one question, from a list of labelled texts, a list of {"label", "text"}, or an object
/// {"A": "text", ...}.
inline std::vector<LabelledOption> parse_options(const JsonFields& question) {
  const Json& choices = question.raw("choices");
  std::vector<LabelledOption> options;
  if (choices.is_object()) {
    const JsonFields texts = question.object("choices");
    for (const auto& [label, text] : choices.items()) {
      options.push_back({label, std::string(trimmed(texts.get<std::string>(label)))});
    }
  } else if (choices.is_array()) {
    for (std::size_t i = 0; i < choices.size(); ++i) {
      options.push_back(parse_option(choices[i], question, "choices[" + std::to_string(i) + "]"));
    }
  } else {
    throw question.error("choices", "expected a list or an object, got " + json_type(choices));
  }
  return options;
}

inline void require_valid_options(const std::vector<LabelledOption>& options, const JsonFields& question) {
  if (options.size() < 2 || options.size() > most_options) {
    throw question.error(
        "choices", "expected 2 to " + std::to_string(most_options) + " options, got " + std::to_string(options.size()));
  }
  std::size_t still_labelled = 0;
  for (std::size_t i = 0; i < options.size(); ++i) {
    const std::string expected(1, static_cast<char>('A' + i));
    if (options[i].label != expected) {
      throw question.error("choices", "expected labels A, B, C, ... in order, got " + options[i].label + " where " +
                                          expected + " is next");
    }
    if (options[i].text.empty()) throw question.error("choices", "option " + expected + " is empty");
    for (std::size_t j = 0; j < i; ++j) {
      if (options[i].text == options[j].text) {
        throw question.error("choices",
                             "options " + options[j].label + " and " + expected + " are the same: " + options[i].text);
      }
    }
    still_labelled += split_label(options[i].text).has_value() ? 1 : 0;
  }
  if (still_labelled == options.size()) {
    throw question.error("choices", "the options carry two labels each; the inner ones would give the order away");
  }
}

}  // namespace detail

/// One question of `reward_model.ground_truth`: {"question", "choices", "answer"}, the answer being a label.
/// Throws Error with the file, line and field.
inline Question parse_question(const JsonFields& fields) {
  Question question;
  question.text = trimmed(fields.get<std::string>("question"));
  if (question.text.empty()) throw fields.error("question", "expected text, got an empty string");
  const auto options = detail::parse_options(fields);
  detail::require_valid_options(options, fields);
  const auto answer = fields.get<std::string>("answer");
  const auto gold =
      std::find_if(options.begin(), options.end(), [&](const auto& option) { return option.label == answer; });
  if (gold == options.end()) {
    throw fields.error("answer",
                       "expected one of the labels A to " + options.back().label + ", got \"" + answer + "\"");
  }
  question.gold = gold - options.begin();
  for (const auto& option : options) question.options.push_back(option.text);
  return question;
}

}  // namespace caprl
