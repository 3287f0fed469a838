#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/text/added_token_matcher.hpp"
#include "caprl/text/byte_pair_encoder.hpp"
#include "caprl/text/normalize.hpp"
#include "caprl/text/split_pattern.hpp"
#include "caprl/text/token_table.hpp"
#include "caprl/text/tokenizer_definition.hpp"
#include "caprl/text/utf8.hpp"

namespace caprl {

/// What `encode` makes of added tokens ("<|im_end|>") that stand in the text.
enum class AddedTokens {
  as_plain_text,  ///< nothing: the text comes out as ordinary tokens only. For captions, questions, user input.
  parse,          ///< they become their token. For text that the program itself wrote.
};

/// A byte-level BPE tokenizer: the same ids as Hugging Face `tokenizers` gives with add_special_tokens=false.
///
/// Immutable and cheap to copy; may be used from several threads at once.
class Tokenizer {
 public:
  /// Reads a tokenizer.json and, of the chat template beside it (`load_chat_template`),
  /// the default system message; throws `Error` that names the file and field (see `parse_tokenizer_json`). Programs
  /// that call it include text/load_tokenizer.hpp, so that the rest need no JSON.
  static Tokenizer from_file(const std::filesystem::path& path);

  /// The same for text in memory; `source` names it in messages.
  static Tokenizer from_json_text(std::string_view text, std::string source = "tokenizer.json");

  /// Throws `Error` where ids clash, a byte has no token, or text could become a special token through merges.
  explicit Tokenizer(const TokenizerDefinition& definition) : state_(std::make_shared<State>(definition)) {}

  /// The tokens of `text`. Throws `Error` where it is not valid UTF-8.
  std::vector<Token> encode(std::string_view text, AddedTokens added = AddedTokens::as_plain_text) const {
    if (const std::size_t bad = find_invalid_utf8(text); bad != std::string_view::npos) {
      throw Error("[Tokenizer::encode] expected valid UTF-8, got an ill-formed sequence at byte " +
                  std::to_string(bad));
    }
    require(text.size() < (std::size_t{1} << 30), "[Tokenizer::encode] expected less than 1 GiB of text");
    std::vector<Token> tokens;
    if (text.empty()) return tokens;  // no space is put before nothing
    tokens.reserve(text.size() / 3 + 1);
    const auto keep = [&](Token token) { tokens.push_back(token); };
    const auto plain = [&](std::string_view piece) { pre_tokenize(piece, 0, tokens); };
    if (added == AddedTokens::as_plain_text) {
      normalized(text, plain);
      return tokens;
    }
    state_->raw_tokens.split(
        text,
        [&](std::string_view stretch) {
          normalized(stretch, [&](std::string_view n) { state_->normalized_tokens.split(n, plain, keep); });
        },
        keep);
    return tokens;
  }

  /// The text of `tokens`, ill-formed UTF-8 replaced by U+FFFD. `skip_special` leaves special tokens out.
  /// Throws `Error` for an id that is no token.
  std::string decode(std::span<const Token> tokens, bool skip_special = false) const {
    std::string bytes;
    for (const Token token : tokens) {
      if (!skip_special || !is_special(token)) bytes += token_text(token);
    }
    return replace_invalid_utf8(bytes);
  }

  /// The text of ids as a model may draw them: U+FFFD stands for one that is no token, as a padded vocabulary has them.
  std::string decode_any(std::span<const Token> tokens) const {
    std::string bytes;
    for (const Token token : tokens) bytes += has(token) ? token_text(token) : std::string_view("\xEF\xBF\xBD");
    return replace_invalid_utf8(bytes);
  }

  /// The token that stands for exactly these bytes: "<|im_end|>", " A". Added tokens come first.
  std::optional<Token> id_of(std::string_view token) const {
    for (const AddedToken& added : state_->added) {
      if (added.content == token) return added.id;
    }
    return state_->table.find(token);
  }

  /// The bytes that a token stands for; they may be part of a character. Throws `Error` for an id that is no token.
  std::string_view token_text(Token token) const {
    if (!has(token))
      throw Error("[Tokenizer] expected the id of a token, got " + std::to_string(token), state_->source);
    return state_->table.bytes(token);
  }

  /// The highest id and 1: the rows that an embedding needs. Some ids below it may be no tokens.
  Index vocabulary_size() const { return state_->table.size(); }

  /// The system message with which the chat template that came with the tokenizer begins a chat that has none: empty
  /// where it begins with none, nothing where no template came along.
  const std::optional<std::string>& default_system_message() const { return state_->default_system_message; }

  bool has(Token token) const { return state_->table.has(token); }
  bool is_special(Token token) const { return has(token) && state_->kind[token] == Kind::special; }

 private:
  enum class Kind : std::uint8_t { ordinary, added, special };

  struct State {
    explicit State(const TokenizerDefinition& definition);
    void add_vocabulary(const TokenizerDefinition& definition);
    void add_added_tokens(const TokenizerDefinition& definition);
    void add_steps(const TokenizerDefinition& definition);
    void add_byte_tokens(const TokenizerDefinition& definition);
    void check_no_text_is_special(const TokenizerDefinition& definition) const;
    bool is_unknown(char byte) const { return byte_tokens[static_cast<unsigned char>(byte)] == no_token; }

    static constexpr Token no_token = -1;

    detail::TokenTable table;
    std::vector<Kind> kind;      // by id
    std::vector<bool> is_piece;  // by id: a piece of these bytes is this token alone
    std::array<Token, 256> byte_tokens{};
    BytePairEncoder encoder;
    std::vector<std::variant<SplitPattern, PrefixSpace>> steps;
    detail::AddedTokenMatcher raw_tokens;
    detail::AddedTokenMatcher normalized_tokens;
    std::vector<AddedToken> added;
    bool normalize_nfc = false;
    std::optional<std::string> default_system_message;
    std::string source;
  };

  template <class Use>
  void normalized(std::string_view text, const Use& use) const {
    if (!state_->normalize_nfc || is_surely_nfc(text)) {
      use(text);
    } else {
      use(std::string_view(nfc(text)));
    }
  }

  void pre_tokenize(std::string_view piece, std::size_t step, std::vector<Token>& tokens) const {
    if (step == state_->steps.size()) {
      encode_piece(piece, tokens);
    } else if (const auto* pattern = std::get_if<SplitPattern>(&state_->steps[step])) {
      pattern->split(piece, [&](std::string_view part) { pre_tokenize(part, step + 1, tokens); });
    } else if (piece.starts_with(' ')) {
      pre_tokenize(piece, step + 1, tokens);
    } else {
      pre_tokenize(" " + std::string(piece), step + 1, tokens);
    }
  }

  void encode_piece(std::string_view piece, std::vector<Token>& tokens) const {
    const std::optional<Token> whole = state_->table.find(piece);
    if (whole && state_->is_piece[*whole]) {
      tokens.push_back(*whole);
    } else if (std::ranges::any_of(piece, [&](char byte) { return state_->is_unknown(byte); })) {
      std::string known;
      std::ranges::copy_if(piece, std::back_inserter(known), [&](char byte) { return !state_->is_unknown(byte); });
      state_->encoder.encode(known, tokens);
    } else {
      state_->encoder.encode(piece, tokens);
    }
  }

  std::shared_ptr<const State> state_;
};

inline Tokenizer::State::State(const TokenizerDefinition& definition)
    : added(definition.added_tokens),
      normalize_nfc(definition.normalize_nfc),
      default_system_message(definition.default_system_message),
      source(definition.source) {
  Token last = -1;
  for (const VocabularyEntry& entry : definition.vocabulary) last = std::max(last, entry.id);
  for (const AddedToken& token : definition.added_tokens) last = std::max(last, token.id);
  // Ids may have gaps, but a file cannot ask for a table of any size by one id.
  const auto count = static_cast<Index>(definition.vocabulary.size() + definition.added_tokens.size());
  if (Index{last} > 1000 + 16 * count) {
    throw Error("[Tokenizer] expected most ids to be of tokens, got " + std::to_string(count) +
                    " tokens with ids up to " + std::to_string(last),
                source);
  }
  table = detail::TokenTable(Index{last} + 1);
  kind.assign(static_cast<std::size_t>(table.size()), Kind::ordinary);
  add_vocabulary(definition);
  add_added_tokens(definition);
  add_byte_tokens(definition);
  check_no_text_is_special(definition);
  encoder = BytePairEncoder(byte_tokens, definition.merges);
  add_steps(definition);
  is_piece.assign(kind.size(), false);
  std::vector<Token> tokens;
  for (const VocabularyEntry& entry : definition.vocabulary) {
    if (!entry.reachable || kind[entry.id] == Kind::special) continue;
    tokens.clear();
    if (!definition.ignore_merges) encoder.encode(entry.bytes, tokens);
    is_piece[entry.id] = definition.ignore_merges || (tokens.size() == 1 && tokens[0] == entry.id);
  }
}

inline void Tokenizer::State::add_vocabulary(const TokenizerDefinition& definition) {
  for (const VocabularyEntry& entry : definition.vocabulary) {
    if (table.has(entry.id)) {
      throw Error("[Tokenizer] expected model.vocab to give each id once, got " + std::to_string(entry.id) + " twice",
                  source);
    }
    table.add(entry.id, entry.bytes, entry.reachable);
  }
}

inline void Tokenizer::State::add_added_tokens(const TokenizerDefinition& definition) {
  for (const AddedToken& token : definition.added_tokens) {
    if (!table.has(token.id)) {
      table.add(token.id, token.content, false);
    } else if (table.bytes(token.id) != token.content) {
      throw Error("[Tokenizer] expected added_tokens to have ids of their own, got " + std::to_string(token.id) +
                      " for " + token.content + " and for " + std::string(table.bytes(token.id)),
                  source);
    }
    kind[token.id] = token.special ? Kind::special : Kind::added;
    if (token.normalized) {
      normalized_tokens.add(normalize_nfc ? nfc(token.content) : token.content, token.id);
    } else {
      raw_tokens.add(token.content, token.id);
    }
  }
}

inline void Tokenizer::State::add_steps(const TokenizerDefinition& definition) {
  for (const PreTokenizerStep& step : definition.pre_tokenizer) {
    const auto* split = std::get_if<SplitByPattern>(&step);
    if (split == nullptr) {
      steps.emplace_back(PrefixSpace{});
      continue;
    }
    located(source + ", pre_tokenizer", [&] { steps.emplace_back(SplitPattern(split->pattern)); });
  }
}

inline void Tokenizer::State::add_byte_tokens(const TokenizerDefinition& definition) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto text = static_cast<char>(byte);
    const std::optional<Token> token = table.find({&text, 1});
    if (!token && !definition.drop_unknown_bytes) {
      throw Error(
          "[Tokenizer] expected model.vocab to have a token for each byte, got none for byte " + std::to_string(byte),
          source);
    }
    byte_tokens[byte] = token.value_or(no_token);
  }
}

/// Makes `as_plain_text` a promise: no byte and no merge gives a special token.
inline void Tokenizer::State::check_no_text_is_special(const TokenizerDefinition& definition) const {
  const auto check = [&](Token token) {
    if (kind[token] == Kind::special) {
      throw Error("[Tokenizer] expected special tokens that ordinary text cannot become, got " +
                      std::string(table.bytes(token)),
                  source, "remove the merge that makes it, or let it not be special");
    }
  };
  for (const Token token : byte_tokens) {
    if (token != no_token) check(token);
  }
  for (const MergeRule& rule : definition.merges) check(rule.result);
}

}  // namespace caprl
