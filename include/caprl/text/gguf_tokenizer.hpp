#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/io/gguf_metadata.hpp"
#include "caprl/text/default_system.hpp"
#include "caprl/text/spelled_tokens.hpp"
#include "caprl/text/tokenizer_definition.hpp"

namespace caprl {

namespace detail {

/// How a file of that "tokenizer.ggml.pre" treats text before the merges: what the tokenizer.json of these models says.
struct GgufPreTokenizer {
  std::string_view name;
  bool normalize_nfc;
  bool ignore_merges;
  std::vector<std::string_view> patterns;
};

inline const std::vector<GgufPreTokenizer>& gguf_pre_tokenizers() {
  static const std::vector<GgufPreTokenizer> all{
      {"gpt-2", false, false, {gpt2_split_pattern}},
      {"smollm", false, false, {digit_split_pattern, gpt2_split_pattern}},
      {"starcoder", false, false, {digit_split_pattern, gpt2_split_pattern}},
      {"qwen2", true, false, {qwen_split_pattern}},
      {"llama-bpe", false, true, {llama3_split_pattern}},
  };
  return all;
}

/// The numbers of llama.cpp's token types.
enum class GgufTokenType { normal = 1, unknown, control, user_defined, unused, byte };

/// Reads the keys "tokenizer.ggml.*"; each refusal names the key.
class GgufTokenizerReader {
 public:
  explicit GgufTokenizerReader(const GgufMetadata& metadata)
      : metadata_(metadata), spelled_(metadata.where(), "tokenizer.ggml.tokens", "tokenizer.ggml.merges") {
    definition_.source = metadata.where();
    definition_.drop_unknown_bytes = true;  // SmolLM2 has no token for some control characters
  }

  TokenizerDefinition read() {
    require_byte_level();
    read_pre_tokenizer();
    read_tokens();
    read_merges();
    if (const std::string chat = metadata_.get_or<std::string>("tokenizer.chat_template", ""); !chat.empty()) {
      definition_.default_system_message = default_system_message(chat);
    }
    return std::move(definition_);
  }

 private:
  void require_byte_level() const {
    const auto& model = metadata_.get<std::string>("tokenizer.ggml.model");
    if (model != "gpt2") {
      throw metadata_.error("tokenizer.ggml.model",
                            "expected gpt2 (byte-level BPE), got \"" + model + "\"" +
                                (model == "llama" ? " (SentencePiece, which is not read)" : ""));
    }
    if (metadata_.get_or<bool>("tokenizer.ggml.add_space_prefix", false)) {
      throw metadata_.error("tokenizer.ggml.add_space_prefix", "expected false, got true");
    }
  }

  void read_pre_tokenizer() {
    const auto& name = metadata_.get<std::string>("tokenizer.ggml.pre");
    std::string known;
    for (const GgufPreTokenizer& one : gguf_pre_tokenizers()) {
      known.append(known.empty() ? "" : ", ").append(one.name);
      if (one.name != name) continue;
      definition_.normalize_nfc = one.normalize_nfc;
      definition_.ignore_merges = one.ignore_merges;
      for (const std::string_view pattern : one.patterns) {
        definition_.pre_tokenizer.emplace_back(SplitByPattern{std::string(pattern)});
      }
      return;
    }
    throw metadata_.error("tokenizer.ggml.pre", "expected one of " + known + "; got \"" + name + "\"");
  }

  void read_tokens() {
    const auto& tokens = metadata_.get<std::vector<std::string>>("tokenizer.ggml.tokens");
    const auto& types = metadata_.get<std::vector<Index>>("tokenizer.ggml.token_type");
    if (tokens.size() >= token_id_limit) {
      throw metadata_.error("tokenizer.ggml.tokens", "expected fewer than " + std::to_string(token_id_limit) +
                                                         " tokens, got " + std::to_string(tokens.size()));
    }
    if (types.size() != tokens.size()) {
      throw metadata_.error("tokenizer.ggml.token_type", "expected one type for each of " +
                                                             std::to_string(tokens.size()) + " tokens, got " +
                                                             std::to_string(types.size()));
    }
    spelled_.reserve(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) add_token(static_cast<Token>(i), tokens[i], types[i]);
  }

  void add_token(Token id, const std::string& spelling, Index type) {
    switch (static_cast<GgufTokenType>(type)) {
      case GgufTokenType::normal:
        spelled_.add(spelling, id);
        definition_.vocabulary.push_back(spelled_entry(id, spelling));
        return;
      case GgufTokenType::unknown:
      case GgufTokenType::control:
        return add_whole_token(id, spelling, true);
      case GgufTokenType::user_defined:
        return add_whole_token(id, spelling, false);
      case GgufTokenType::unused:  // fills the table up to the model's vocabulary
        return;
      case GgufTokenType::byte:
        break;
    }
    throw metadata_.error("tokenizer.ggml.token_type[" + std::to_string(id) + "]",
                          "expected 1 to 5, got " + std::to_string(type));
  }

  /// A token that stands for its spelling as it is. If the byte-level alphabet has it so, merges may lead there too.
  void add_whole_token(Token id, const std::string& spelling, bool special) {
    if (spelling.empty()) {
      throw metadata_.error("tokenizer.ggml.tokens[" + std::to_string(id) + "]", "expected a text, got an empty one");
    }
    spelled_.add(spelling, id);
    definition_.added_tokens.push_back({.id = id, .content = spelling, .special = special});
    VocabularyEntry entry = spelled_entry(id, spelling);
    if (entry.bytes == spelling) definition_.vocabulary.push_back(std::move(entry));
  }

  void read_merges() {
    const auto& merges = metadata_.get<std::vector<std::string>>("tokenizer.ggml.merges");
    definition_.merges.reserve(merges.size());
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const auto parts = split_merge(merges[i]);
      if (!parts) {
        throw metadata_.error("tokenizer.ggml.merges[" + std::to_string(i) + "]",
                              "expected two tokens separated by a space, got " + in_quotes(merges[i]));
      }
      definition_.merges.push_back(spelled_.merge(parts->first, parts->second, i));
    }
  }

  const GgufMetadata& metadata_;
  TokenizerDefinition definition_;
  SpelledTokens spelled_;  // of the metadata's text
};

}  // namespace detail

/// What the keys "tokenizer.ggml.*" of a GGUF file say: byte-level BPE ("gpt2") with the pre-tokenizers gpt-2, smollm,
/// starcoder, qwen2 and llama-bpe. Throws Error that names the key for all else. Tokens that a model adds around a text
/// (`add_bos_token`) are passed over, as `encode` adds none.
inline TokenizerDefinition read_gguf_tokenizer(const GgufMetadata& metadata) {
  return detail::GgufTokenizerReader(metadata).read();
}

}  // namespace caprl
