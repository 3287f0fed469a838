#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/text/spelled_tokens.hpp"

namespace caprl::detail {

/// A tokenizer.json, its two large tables apart from the rest.
struct TokenizerJson {
  nlohmann::json rest;  ///< without model.vocab and model.merges where those are an object and a list
  std::vector<std::pair<std::string, Token>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;
};

/// Takes the events of nlohmann's parser. The tables go into vectors at once: as JSON values, a hundred thousand small
/// nodes each, they would take most of the time that loading takes.
class TokenizerJsonParser {
 public:
  TokenizerJsonParser(TokenizerJson& out, std::string source) : out_(out), source_(std::move(source)) {}

  bool null() { return scalar(nullptr, "null"); }
  bool boolean(bool value) { return scalar(value, "true or false"); }
  bool number_integer(std::int64_t value) { return scalar(value, "a negative number"); }
  bool number_float(double value, const std::string&) { return scalar(value, "a fractional number"); }
  bool binary(nlohmann::json::binary_t&) { return false; }

  bool number_unsigned(std::uint64_t value) {
    if (inside_ != Inside::vocabulary) return scalar(value, "a number");
    if (value >= token_id_limit) refuse_entry(std::to_string(value));
    out_.vocabulary.back().second = static_cast<Token>(value);
    return true;
  }

  bool string(std::string& value) {
    if (inside_ == Inside::merges) {
      add_spaced_merge(value);
    } else if (inside_ == Inside::pair && parts_ < 2) {
      (parts_++ == 0 ? out_.merges.back().first : out_.merges.back().second) = std::move(value);
    } else {
      scalar(value, "a string");
    }
    return true;
  }

  bool start_object(std::size_t) {
    if (inside_ != Inside::rest) refuse_entry("an object");
    if (at_table("vocab")) {
      if (!out_.vocabulary.empty()) refuse_second_key();
      inside_ = Inside::vocabulary;
    } else {
      open(nlohmann::json::object());
    }
    return true;
  }

  bool key(std::string& value) {
    if (inside_ == Inside::vocabulary) {
      out_.vocabulary.emplace_back(std::move(value), -1);
    } else {
      key_ = std::move(value);
      if (open_.back()->contains(key_)) refuse_second_key();
      if (open_.size() == 1) top_key_ = key_;
    }
    return true;
  }

  bool end_object() {
    if (inside_ == Inside::vocabulary) {
      inside_ = Inside::rest;
    } else {
      open_.pop_back();
    }
    return true;
  }

  bool start_array(std::size_t) {
    if (inside_ == Inside::merges) {
      out_.merges.emplace_back();
      parts_ = 0;
      inside_ = Inside::pair;
    } else if (inside_ != Inside::rest) {
      refuse_entry("a list");
    } else if (at_table("merges")) {
      if (!out_.merges.empty()) refuse_second_key();
      inside_ = Inside::merges;
    } else {
      open(nlohmann::json::array());
    }
    return true;
  }

  bool end_array() {
    if (inside_ == Inside::pair) {
      inside_ = Inside::merges;
      if (parts_ != 2) refuse_merge(out_.merges.size() - 1, "a pair of tokens", "a list of " + std::to_string(parts_));
    } else if (inside_ == Inside::merges) {
      inside_ = Inside::rest;
    } else {
      open_.pop_back();
    }
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& problem) {
    throw Error(std::string("[Tokenizer] expected JSON, got: ") + problem.what(), source_,
                "check that the file is complete");
  }

 private:
  enum class Inside { rest, vocabulary, merges, pair };

  bool at_table(std::string_view name) const { return open_.size() == 2 && top_key_ == "model" && key_ == name; }

  bool scalar(nlohmann::json value, const char* kind) {
    if (inside_ != Inside::rest) refuse_entry(kind);
    insert(std::move(value));
    return true;
  }

  nlohmann::json* insert(nlohmann::json value) {
    if (open_.empty()) return &(out_.rest = std::move(value));
    nlohmann::json& parent = *open_.back();
    if (parent.is_array()) return &parent.emplace_back(std::move(value));
    return &(parent[key_] = std::move(value));
  }

  void open(nlohmann::json value) {
    if (open_.size() == deepest_json) {
      throw Error("[Tokenizer] expected values nested at most " + std::to_string(deepest_json) + " deep, got more",
                  source_);
    }
    open_.push_back(insert(std::move(value)));
  }

  [[noreturn]] void refuse_second_key() const {
    throw Error("[Tokenizer] expected each key of an object once, got \"" + key_ + "\" twice", source_);
  }

  void add_spaced_merge(const std::string& text) {
    const auto parts = split_merge(text);
    if (!parts) refuse_merge(out_.merges.size(), "two tokens separated by a space", text);
    out_.merges.emplace_back(parts->first, parts->second);
  }

  [[noreturn]] void refuse_merge(std::size_t index, const char* expected, const std::string& got) const {
    refuse_tokenizer_field(source_, "model.merges[" + std::to_string(index) + "]", expected, got);
  }

  /// Refuses the entry of a table that is being read.
  [[noreturn]] void refuse_entry(const std::string& got) const {
    if (inside_ == Inside::vocabulary) {
      const std::string name = out_.vocabulary.empty() ? "" : out_.vocabulary.back().first;
      const std::string expected = "an id from 0 to " + std::to_string(token_id_limit - 1);
      refuse_tokenizer_field(source_, "model.vocab[\"" + name + "\"]", expected, got);
    }
    refuse_merge(out_.merges.size() - (inside_ == Inside::pair ? 1 : 0), "a pair of tokens", got);
  }

  TokenizerJson& out_;
  std::string source_;
  std::vector<nlohmann::json*> open_;
  std::string key_;      // of the innermost open object
  std::string top_key_;  // of the file's object
  Inside inside_ = Inside::rest;
  int parts_ = 0;
};

inline TokenizerJson parse_tokenizer_tables(std::string_view text, const std::string& source) {
  TokenizerJson file;
  TokenizerJsonParser parser(file, source);
  nlohmann::json::sax_parse(text, &parser);
  return file;
}

}  // namespace caprl::detail
