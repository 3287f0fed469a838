#pragma once

#include <span>
#include <string>
#include <vector>

#include "caprl/judge/per_caption.hpp"
#include "caprl/judge/prompt_score.hpp"
#include "caprl/judge/reward_judge.hpp"
#include "world/answer.hpp"

namespace world {

/// A judge without a model: parses captions by the world's grammar and answers from the parse, or abstains. What a
/// language model's answers are held against.
struct GrammarJudge {
  std::vector<std::string> part_names() const { return {"accuracy"}; }

  /// The mean over the item's questions of `caprl::prompt_score` with the penalty that makes guessing worthless.
  std::vector<std::vector<caprl::Reward>> score(std::span<const caprl::JudgeRequest> requests) const {
    return caprl::score_each_caption(requests, [](const caprl::CaptionItem& item, const caprl::Caption& caption) {
      if (item.questions.empty()) return caprl::Reward::missing("the item has no questions");
      const ParsedCaption parsed = parse_caption(caption.text);
      double sum = 0;
      for (const caprl::Question& question : item.questions) {
        const auto chosen = answer(parsed, question);
        const bool right = chosen && *chosen == question.gold;
        const auto options = static_cast<caprl::Index>(question.options.size());
        sum += caprl::prompt_score(right ? 1 : 0, chosen && !right ? 1 : 0, caprl::guess_penalty(options));
      }
      return caprl::Reward::of(sum / static_cast<double>(item.questions.size()));
    });
  }
};

static_assert(caprl::RewardJudge<GrammarJudge>);

}  // namespace world
