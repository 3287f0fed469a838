#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/ascii.hpp"
#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/core/recorded_numbers.hpp"
#include "caprl/data/item.hpp"
#include "caprl/judge/per_caption.hpp"
#include "caprl/judge/reward_judge.hpp"

namespace caprl {

/// How often a phrase occurs in a text, whatever the case of ASCII letters, as whole words.
inline Index count_phrase(std::string_view text, std::string_view phrase) {
  if (phrase.empty()) return 0;
  const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  Index count = 0;
  auto from = text.begin();
  for (;;) {
    const auto at = std::search(from, text.end(), phrase.begin(), phrase.end(), same_letter);
    if (at == text.end()) return count;
    const auto end = at + static_cast<std::ptrdiff_t>(phrase.size());
    const bool starts = at == text.begin() || !in_word(*(at - 1)) || !in_word(phrase.front());
    const bool ends = end == text.end() || !in_word(*end) || !in_word(phrase.back());
    if (starts && ends) ++count;
    from = starts && ends ? end : at + 1;
  }
}

/// Phrases in which a caption speaks of itself, praises itself or addresses the reader.
inline std::vector<std::string> self_praise_phrases() {
  return {"this caption",
          "this description",
          "the caption above",
          "the description above",
          "the above description",
          "the caption provides",
          "the description provides",
          "detailed caption",
          "detailed description",
          "comprehensive caption",
          "comprehensive description",
          "accurate caption",
          "accurate description",
          "accurately describes",
          "accurately captures",
          "all the details",
          "every detail",
          "no detail is",
          "nothing is omitted",
          "leaves nothing out",
          "as an ai",
          "as a language model",
          "i hope this",
          "let me know if",
          "here is a description",
          "here is a caption"};
}

/// A penalty for self-praise and comments on the caption itself, which caption rewards breed (RubiCap, arXiv
/// 2603.09160): 0 without such a phrase, -1 from `limit` of them on, linear between.
struct SelfPraiseTerm {
  std::vector<std::string> phrases = self_praise_phrases();
  Index limit = 1;

  double value(std::string_view caption) const {
    require(limit >= 1, "[SelfPraiseTerm] expected a limit of at least 1");
    Index found = 0;
    for (const std::string& phrase : phrases) found += count_phrase(caption, phrase);
    return found == 0 ? 0.0 : -static_cast<double>(std::min(found, limit)) / static_cast<double>(limit);
  }

  std::vector<std::vector<Reward>> score(std::span<const JudgeRequest> requests) const {
    return score_each_caption(
        requests, [this](const CaptionItem&, const Caption& caption) { return Reward::of(value(caption.text)); });
  }
  std::vector<std::string> part_names() const { return {"self_praise"}; }
  RecordedNumbers recorded() const { return {{"limit", limit}, {"phrases", phrases.size()}}; }
};

static_assert(RewardJudge<SelfPraiseTerm>);

}  // namespace caprl
