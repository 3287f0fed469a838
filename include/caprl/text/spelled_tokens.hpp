#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/text/byte_level.hpp"
#include "caprl/text/tokenizer_definition.hpp"

namespace caprl::detail {

/// Ids end below this, so that a wrong file cannot ask for a table of any size.
inline constexpr std::uint64_t token_id_limit = std::uint64_t{1} << 22;

[[noreturn]] inline void refuse_tokenizer_field(const std::string& source, const std::string& name,
                                                const std::string& expected, const std::string& got) {
  throw Error("[Tokenizer] expected " + name + " to be " + expected + ", got " + got, source,
              "only byte-level BPE tokenizers are supported");
}

/// Text of a file, in quotes, for messages: at most its beginning.
inline std::string in_quotes(std::string_view text) {
  return text.size() <= 120 ? "\"" + std::string(text) + "\"" : "\"" + std::string(text.substr(0, 120)) + "...\"";
}

/// A token of the vocabulary by how a file of byte-level tokens spells it.
inline VocabularyEntry spelled_entry(Token id, const std::string& spelling) {
  std::optional<std::string> bytes = from_byte_level(spelling);
  const bool reachable = bytes.has_value() && !bytes->empty();
  return {id, bytes ? std::move(*bytes) : spelling, reachable};
}

/// The two tokens of a merge "a b"; nothing unless exactly one space is between two texts.
inline std::optional<std::pair<std::string_view, std::string_view>> split_merge(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return std::nullopt;
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

/// The tokens of a file by their spelling. A view: the file's text must outlive it.
class SpelledTokens {
 public:
  /// What the file is, and the names that it gives the vocabulary and the merges, for messages.
  SpelledTokens(std::string source, std::string vocabulary_field, std::string merges_field)
      : source_(std::move(source)),
        vocabulary_field_(std::move(vocabulary_field)),
        merges_field_(std::move(merges_field)) {}

  void reserve(std::size_t count) { ids_.reserve(count); }

  /// Throws Error if the spelling is there already.
  void add(std::string_view spelling, Token id) {
    if (ids_.emplace(spelling, id).second) return;
    refuse_tokenizer_field(source_, vocabulary_field_ + "[" + in_quotes(spelling) + "]", "there once", "it twice");
  }

  std::optional<Token> find(std::string_view spelling) const {
    const auto found = ids_.find(spelling);
    return found == ids_.end() ? std::nullopt : std::optional<Token>(found->second);
  }

  /// The rule that the file's merge number `index` is. Throws Error where it is made of, or gives, what is no token.
  MergeRule merge(std::string_view left, std::string_view right, std::size_t index) const {
    return {known(left, index), known(right, index), known(std::string(left).append(right), index)};
  }

 private:
  Token known(std::string_view spelling, std::size_t index) const {
    if (const std::optional<Token> id = find(spelling)) return *id;
    refuse_tokenizer_field(source_, merges_field_ + "[" + std::to_string(index) + "]",
                           "made of tokens that " + vocabulary_field_ + " has", in_quotes(spelling));
  }

  std::string source_, vocabulary_field_, merges_field_;
  std::unordered_map<std::string_view, Token> ids_;
};

}  // namespace caprl::detail
