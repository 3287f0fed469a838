#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/text/byte_pair_encoder.hpp"

namespace caprl {

/// The pattern of Qwen2, Qwen2.5 and Qwen3 tokenizers; ours for tiny models too.
inline constexpr std::string_view qwen_split_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The pattern of GPT-2, which ByteLevel with `use_regex` applies.
inline constexpr std::string_view gpt2_split_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The pattern of Llama 3.
inline constexpr std::string_view llama3_split_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// What SmolLM and StarCoder cut by before the pattern of GPT-2: each digit is a piece.
inline constexpr std::string_view digit_split_pattern = R"(\p{N})";

/// A token that is found in the text as a whole, before anything else is done to the text.
struct AddedToken {
  Token id = 0;
  std::string content;
  bool special = false;     ///< a control token, which decoding may leave out
  bool normalized = false;  ///< sought in the normalized text, not in the text as given
};

/// A token of the vocabulary: the bytes it stands for.
struct VocabularyEntry {
  Token id = 0;
  std::string bytes;
  bool reachable = true;  ///< false: the file's spelling is outside the byte-level alphabet, so no text has it
};

/// Steps of the pre-tokenizer, applied in order to each piece that the step before gave.
struct SplitByPattern {
  std::string pattern;
};
struct PrefixSpace {};  ///< puts a space before a piece that begins with none
using PreTokenizerStep = std::variant<SplitByPattern, PrefixSpace>;

/// What a tokenizer file says, checked.
struct TokenizerDefinition {
  std::vector<VocabularyEntry> vocabulary;
  std::vector<MergeRule> merges;
  std::vector<AddedToken> added_tokens;
  std::vector<PreTokenizerStep> pre_tokenizer;
  bool normalize_nfc = false;
  bool ignore_merges = false;  ///< a piece that is in the vocabulary is that token, whatever the merges say
  bool drop_unknown_bytes =
      false;  ///< bytes without a token are left out of texts; false: such a vocabulary is refused
  /// What the chat template that came along gives a chat that has none; nothing where no template did.
  std::optional<std::string> default_system_message = {};
  std::string source;  ///< for messages: the file
};

}  // namespace caprl
