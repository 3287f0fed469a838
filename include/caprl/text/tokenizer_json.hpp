#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "caprl/core/error.hpp"
#include "caprl/text/spelled_tokens.hpp"
#include "caprl/text/tokenizer_definition.hpp"
#include "caprl/text/tokenizer_json_parser.hpp"

namespace caprl {

namespace detail {

/// Reads a tokenizer.json of Hugging Face `tokenizers` (byte-level BPE only); each refusal names the field.
class TokenizerJsonReader {
 public:
  explicit TokenizerJsonReader(std::string source) : spelled_(source, "model.vocab", "model.merges") {
    definition_.source = std::move(source);
  }

  TokenizerDefinition read(std::string_view text) {
    const TokenizerJson file = parse_tokenizer_tables(text, definition_.source);
    const Json& root = file.rest;
    check(root.is_object(), "the file", "an object", root);
    refuse_unless_null(root, "truncation");
    refuse_unless_null(root, "padding");
    read_normalizer(field(root, "normalizer"), "normalizer");
    read_pre_tokenizer(field(root, "pre_tokenizer"), "pre_tokenizer");
    check(byte_level_, "pre_tokenizer", "a ByteLevel step", field(root, "pre_tokenizer"));
    check_post_processor(field(root, "post_processor"), "post_processor");
    check_decoder(field(root, "decoder"), "decoder");
    read_model(field(root, "model"), file);
    read_added_tokens(field(root, "added_tokens"));
    return std::move(definition_);
  }

 private:
  using Json = nlohmann::json;

  /// Shows at most the beginning of a value that a message names.
  static std::string show(const Json& value) {
    if (value.is_structured() && value.size() > 16)
      return value.type_name() + (" of size " + std::to_string(value.size()));
    std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    return text.size() <= 120 ? text : text.substr(0, 120) + "...";
  }

  void check(bool good, const std::string& name, const std::string& expected, const Json& got) const {
    if (!good) refuse_tokenizer_field(definition_.source, name, expected, show(got));
  }

  static const Json& field(const Json& object, const char* name) {
    static const Json null;
    const auto found = object.find(name);
    return found == object.end() ? null : *found;
  }

  void refuse_unless_null(const Json& object, const char* name) const {
    check(field(object, name).is_null(), name, "null", field(object, name));
  }

  bool flag(const Json& object, const char* name, bool missing, const std::string& path) const {
    const Json& value = field(object, name);
    if (value.is_null()) return missing;
    check(value.is_boolean(), path + "." + name, "true or false", value);
    return value.get<bool>();
  }

  std::string string(const Json& object, const char* name, const std::string& path) const {
    const Json& value = field(object, name);
    check(value.is_string(), path + "." + name, "a string", value);
    return value.get<std::string>();
  }

  const Json& list(const Json& object, const char* name, const std::string& path) const {
    const Json& value = field(object, name);
    check(value.is_array(), path + "." + name, "a list", value);
    return value;
  }

  std::string type(const Json& object, const std::string& path) const {
    check(object.is_object(), path, "an object", object);
    return string(object, "type", path);
  }

  void check_id(const Json& value, const std::string& path) const {
    check(value.is_number_unsigned() && value.get<std::uint64_t>() < token_id_limit, path,
          "an id from 0 to " + std::to_string(token_id_limit - 1), value);
  }

  /// Calls visit(element, its path) for each element of a Sequence.
  template <class Visit>
  void sequence(const Json& object, const char* name, const std::string& path, const Visit& visit) {
    check(++depth_ < 16, path, "nested less deeply", object);
    const Json& elements = list(object, name, path);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      visit(elements[i], path + "." + name + "[" + std::to_string(i) + "]");
    }
    --depth_;
  }

  void read_normalizer(const Json& normalizer, const std::string& path) {
    if (normalizer.is_null()) return;
    const std::string kind = type(normalizer, path);
    if (kind == "Sequence") {
      sequence(normalizer, "normalizers", path, [&](const Json& n, const std::string& p) { read_normalizer(n, p); });
    } else {
      check(kind == "NFC", path + ".type", "NFC or Sequence", field(normalizer, "type"));
      definition_.normalize_nfc = true;
    }
  }

  void read_pre_tokenizer(const Json& step, const std::string& path) {
    check(!byte_level_, path, "absent, since ByteLevel comes last", step);
    const std::string kind = type(step, path);
    if (kind == "Sequence") {
      sequence(step, "pretokenizers", path, [&](const Json& s, const std::string& p) { read_pre_tokenizer(s, p); });
    } else if (kind == "Split") {
      read_split(step, path);
    } else if (kind == "Digits") {
      const bool each = flag(step, "individual_digits", false, path);
      definition_.pre_tokenizer.emplace_back(SplitByPattern{std::string(digit_split_pattern) + (each ? "" : "+")});
    } else {
      check(kind == "ByteLevel", path + ".type", "Split, Digits, ByteLevel or Sequence", field(step, "type"));
      if (flag(step, "add_prefix_space", true, path)) definition_.pre_tokenizer.emplace_back(PrefixSpace{});
      if (flag(step, "use_regex", true, path)) {
        definition_.pre_tokenizer.emplace_back(SplitByPattern{std::string(gpt2_split_pattern)});
      }
      byte_level_ = true;
    }
  }

  void read_split(const Json& step, const std::string& path) {
    check(string(step, "behavior", path) == "Isolated", path + ".behavior", "Isolated", field(step, "behavior"));
    check(!flag(step, "invert", false, path), path + ".invert", "false", field(step, "invert"));
    const Json& pattern = field(step, "pattern");
    check(pattern.is_object() && pattern.contains("Regex"), path + ".pattern", "a Regex", pattern);
    definition_.pre_tokenizer.emplace_back(SplitByPattern{string(pattern, "Regex", path + ".pattern")});
  }

  /// Post-processors add special tokens around a text or trim offsets; `encode` does neither, so those are passed over.
  void check_post_processor(const Json& processor, const std::string& path) {
    if (processor.is_null()) return;
    const std::string kind = type(processor, path);
    if (kind == "Sequence") {
      sequence(processor, "processors", path,
               [&](const Json& p, const std::string& at) { check_post_processor(p, at); });
    } else {
      check(kind == "ByteLevel" || kind == "TemplateProcessing", path + ".type",
            "ByteLevel, TemplateProcessing or Sequence", field(processor, "type"));
    }
  }

  void check_decoder(const Json& decoder, const std::string& path) const {
    check(type(decoder, path) == "ByteLevel", path + ".type", "ByteLevel", field(decoder, "type"));
  }

  void read_model(const Json& model, const TokenizerJson& file) {
    check(model.is_object(), "model", "an object", model);
    if (model.contains("type")) check(type(model, "model") == "BPE", "model.type", "BPE", field(model, "type"));
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json& affix = field(model, name);
      check(affix.is_null() || affix == "", std::string("model.") + name, "null or empty", affix);
    }
    const Json& dropout = field(model, "dropout");
    check(dropout.is_null() || dropout == 0.0, "model.dropout", "null or 0", dropout);
    check(!flag(model, "byte_fallback", false, "model"), "model.byte_fallback", "false", field(model, "byte_fallback"));
    definition_.drop_unknown_bytes = field(model, "unk_token").is_null();  // SmolLM2's: some bytes have no token
    definition_.ignore_merges = flag(model, "ignore_merges", false, "model");
    check(!model.contains("vocab"), "model.vocab", "an object", field(model, "vocab"));
    check(!model.contains("merges"), "model.merges", "a list", field(model, "merges"));
    read_vocabulary(file);
    read_merges(file);
  }

  void read_vocabulary(const TokenizerJson& file) {
    spelled_.reserve(file.vocabulary.size());
    definition_.vocabulary.reserve(file.vocabulary.size());
    for (const auto& [spelling, token] : file.vocabulary) {
      spelled_.add(spelling, token);
      definition_.vocabulary.push_back(spelled_entry(token, spelling));
    }
  }

  void read_merges(const TokenizerJson& file) {
    definition_.merges.reserve(file.merges.size());
    for (std::size_t i = 0; i < file.merges.size(); ++i) {
      definition_.merges.push_back(spelled_.merge(file.merges[i].first, file.merges[i].second, i));
    }
  }

  void read_added_tokens(const Json& tokens) {
    if (tokens.is_null()) return;
    check(tokens.is_array(), "added_tokens", "a list", tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::string path = "added_tokens[" + std::to_string(i) + "]";
      const Json& token = tokens[i];
      check(token.is_object(), path, "an object", token);
      for (const char* name : {"single_word", "lstrip", "rstrip"}) {
        check(!flag(token, name, false, path), path + "." + name, "false", field(token, name));
      }
      check_id(field(token, "id"), path + ".id");
      AddedToken added{field(token, "id").get<Token>(), string(token, "content", path),
                       flag(token, "special", false, path), flag(token, "normalized", true, path)};
      check(!added.content.empty(), path + ".content", "not empty", token);
      const std::optional<Token> base = spelled_.find(added.content);
      check(!base || *base == added.id, path + ".id", "the id that model.vocab gives it", token);
      definition_.added_tokens.push_back(std::move(added));
    }
  }

  TokenizerDefinition definition_;
  SpelledTokens spelled_;  // of the file's text, which lives as long as reading lasts
  bool byte_level_ = false;
  int depth_ = 0;
};

}  // namespace detail

/// What a Hugging Face tokenizer.json says. Supported: model BPE, byte-level; normalizer NFC; pre-tokenizers Split
/// (Regex, Isolated), Digits and ByteLevel. Throws `Error` that names the field for all else and for malformed files.
/// `source` names the text in messages.
inline TokenizerDefinition parse_tokenizer_json(std::string_view text, std::string source = "tokenizer.json") {
  return detail::TokenizerJsonReader(std::move(source)).read(text);
}

}  // namespace caprl
