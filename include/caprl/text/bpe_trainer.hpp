#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/text/byte_level.hpp"
#include "caprl/text/normalize.hpp"
#include "caprl/text/split_pattern.hpp"
#include "caprl/text/tokenizer_definition.hpp"
#include "caprl/text/utf8.hpp"

namespace caprl {

struct BpeTrainerSettings {
  Index vocabulary_size = 512;  ///< bytes, merges and special tokens together; at least 256 and the special tokens
  std::vector<std::string> special_tokens = {
      "<|endoftext|>",  "<|im_start|>",  "<|im_end|>",   "<|vision_start|>",
      "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"};  ///< get the highest ids, in this order
  Index minimum_count = 2;  ///< a pair that is rarer is not merged; the vocabulary is then smaller than asked for
};

namespace detail {

/// The training text as words of tokens with their counts, and where each pair of tokens occurs.
class PairCounts {
 public:
  using Pair = std::pair<Token, Token>;

  explicit PairCounts(const std::map<std::string, Index>& words) {
    for (const auto& [text, count] : words) {
      Word word{{}, count};
      for (const char byte : text) word.symbols.push_back(static_cast<unsigned char>(byte));
      words_.push_back(std::move(word));
      tally(words_.size() - 1, 1);
    }
  }

  /// The most frequent pair; of equals the one whose bytes, left then right, come first.
  std::optional<Pair> best(const std::vector<std::string>& bytes, Index minimum) const {
    const Pair* best = nullptr;
    Index most = minimum - 1;
    for (const auto& [pair, occurrence] : pairs_) {
      if (occurrence.count < most || apart_.contains(pair)) continue;
      if (occurrence.count > most || (best != nullptr && precedes(pair, *best, bytes))) {
        best = &pair;
        most = occurrence.count;
      }
    }
    return best == nullptr ? std::nullopt : std::optional<Pair>(*best);
  }

  /// `best` shall not give this pair.
  void leave_apart(Pair pair) { apart_.insert(pair); }

  void merge(Pair pair, Token result) {
    const std::set<std::size_t> touched = pairs_[pair].words;
    for (const std::size_t index : touched) {
      tally(index, -1);
      std::vector<Token>& symbols = words_[index].symbols;
      std::size_t length = 0;
      for (std::size_t i = 0; i < symbols.size(); ++length) {
        const bool here = i + 1 < symbols.size() && Pair(symbols[i], symbols[i + 1]) == pair;
        symbols[length] = here ? result : symbols[i];
        i += here ? 2 : 1;
      }
      symbols.resize(length);
      tally(index, 1);
    }
  }

 private:
  struct Word {
    std::vector<Token> symbols;
    Index count = 0;
  };
  struct Occurrence {
    Index count = 0;
    std::set<std::size_t> words;
  };

  static bool precedes(Pair a, Pair b, const std::vector<std::string>& bytes) {
    const int left = bytes[a.first].compare(bytes[b.first]);
    return left != 0 ? left < 0 : bytes[a.second] < bytes[b.second];
  }

  /// Adds (sign 1) or takes away (sign -1) the pairs of a word.
  void tally(std::size_t index, Index sign) {
    const Word& word = words_[index];
    for (std::size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      const auto at = pairs_.try_emplace({word.symbols[i], word.symbols[i + 1]}).first;
      at->second.count += sign * word.count;
      if (sign > 0) {
        at->second.words.insert(index);
      } else {
        at->second.words.erase(index);
        if (at->second.count == 0) pairs_.erase(at);
      }
    }
  }

  std::vector<Word> words_;
  std::map<Pair, Occurrence> pairs_;
  std::set<Pair> apart_;
};

inline std::map<std::string, Index> count_words(std::span<const std::string> texts) {
  const SplitPattern pattern(qwen_split_pattern);
  std::map<std::string, Index> words;
  for (const std::string& text : texts) {
    if (find_invalid_utf8(text) != std::string_view::npos) {
      throw Error("[train_bpe] expected texts in valid UTF-8, got an ill-formed sequence", text.substr(0, 80));
    }
    pattern.split(nfc(text), [&](std::string_view word) { ++words[std::string(word)]; });
  }
  return words;
}

/// A tokenizer.json as Hugging Face `tokenizers` writes it, with the pre-tokenizer of Qwen2.
inline std::string write_tokenizer_json(const std::vector<std::string>& base, const nlohmann::ordered_json& merges,
                                        const std::vector<std::string>& special_tokens) {
  using Json = nlohmann::ordered_json;
  Json vocabulary = Json::object();
  for (std::size_t id = 0; id < base.size(); ++id) vocabulary[to_byte_level(base[id])] = id;
  Json added = Json::array();
  for (const std::string& content : special_tokens) {
    added.push_back({{"id", base.size() + added.size()},
                     {"content", content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", std::string(qwen_split_pattern)}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  const Json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", ""},
                      {"end_of_word_suffix", ""},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"ignore_merges", false},
                      {"vocab", std::move(vocabulary)},
                      {"merges", merges}};
  const Json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", std::move(added)},
                     {"normalizer", {{"type", "NFC"}}},
                     {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level})}}},
                     {"post_processor", byte_level},
                     {"decoder", byte_level},
                     {"model", model}};
  return file.dump(1) + "\n";
}

}  // namespace detail

/// Learns a byte-level BPE vocabulary (Sennrich et al. 2016, algorithm 1) and gives the text of a tokenizer.json that
/// Hugging Face `tokenizers` and our `Tokenizer` read. Normalizer NFC, split pattern of Qwen2. Token ids: the 256
/// bytes, then merges in order, then the special tokens. The same texts in any order give the same file: the most
/// frequent pair is merged, ties go to the pair whose bytes come first.
inline std::string train_bpe(std::span<const std::string> texts, const BpeTrainerSettings& settings = {}) {
  const auto special = static_cast<Index>(settings.special_tokens.size());
  if (settings.vocabulary_size < 256 + special) {
    throw Error("[train_bpe] expected a vocabulary_size of at least " + std::to_string(256 + special) + ", got " +
                    std::to_string(settings.vocabulary_size),
                "BpeTrainerSettings", "256 bytes and the special tokens must fit");
  }
  for (const std::string& token : settings.special_tokens) {
    const bool once = std::count(settings.special_tokens.begin(), settings.special_tokens.end(), token) == 1;
    if (!once || token.size() < 2 || find_invalid_utf8(token) != std::string_view::npos) {
      throw Error("[train_bpe] expected special tokens to differ and to be valid UTF-8 of at least 2 bytes, got " +
                  replace_invalid_utf8(token));
    }
  }
  std::vector<std::string> base;
  for (int byte = 0; byte < 256; ++byte) base.emplace_back(1, static_cast<char>(byte));
  nlohmann::ordered_json merges = nlohmann::ordered_json::array();
  detail::PairCounts counts(detail::count_words(texts));
  while (static_cast<Index>(base.size()) + special < settings.vocabulary_size) {
    const auto pair = counts.best(base, std::max<Index>(settings.minimum_count, 1));
    if (!pair) break;
    const std::string joined = base[pair->first] + base[pair->second];
    if (std::count(settings.special_tokens.begin(), settings.special_tokens.end(), joined) != 0) {
      counts.leave_apart(*pair);  // no text may become a special token
      continue;
    }
    merges.push_back({to_byte_level(base[pair->first]), to_byte_level(base[pair->second])});
    const auto known = std::find(base.begin(), base.end(), joined);  // "a" + "bc" after "ab" + "c"
    counts.merge(*pair, static_cast<Token>(known - base.begin()));
    if (known == base.end()) base.push_back(joined);
  }
  return detail::write_tokenizer_json(base, merges, settings.special_tokens);
}

}  // namespace caprl
