#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/hash.hpp"
#include "caprl/core/random.hpp"
#include "caprl/judge/answer_letter.hpp"
#include "caprl/judge/option_orders.hpp"
#include "caprl/judge/reward_judge.hpp"

namespace caprl {

/// A question drawn from an item's, in the order its options are shown.
struct QuestionDraw {
  std::size_t question = 0;  ///< its index in the item
  OptionOrder order;

  friend bool operator==(const QuestionDraw&, const QuestionDraw&) = default;
};

/// `count` questions of the item, drawn with replacement; the options of each are shuffled, or shown in one of
/// `orders`. The item must have questions.
inline std::vector<QuestionDraw> draw_questions(const CaptionItem& item, Index count,
                                                const std::optional<OptionOrders>& orders, const RandomKey& key) {
  RandomStream stream(key);
  std::vector<QuestionDraw> draws;
  for (Index d = 0; d < count; ++d) {
    QuestionDraw draw{stream.below(static_cast<std::uint32_t>(item.questions.size())), {}};
    const Question& question = item.questions[draw.question];
    if (orders) {
      const std::vector<OptionOrder> some = option_orders(*orders, question);
      draw.order = some[stream.below(static_cast<std::uint32_t>(some.size()))];
    } else {
      draw.order.resize(question.options.size());
      std::iota(draw.order.begin(), draw.order.end(), Index{0});
      stream.shuffle(draw.order);
    }
    draws.push_back(std::move(draw));
  }
  return draws;
}

/// A number made of an item's questions and the distinct captions of a request, whatever their order.
inline std::uint64_t request_fingerprint(const JudgeRequest& request) {
  Fnv1a hash;
  for (const Question& question : request.item->questions) hash.add(question_fingerprint(question));
  std::vector<std::uint64_t> captions;
  for (const Caption& caption : request.captions) captions.push_back(Fnv1a().add(caption.text).value());
  std::ranges::sort(captions);
  for (std::size_t c = 0; c < captions.size(); ++c) {
    if (c == 0 || captions[c] != captions[c - 1]) hash.add(captions[c]);
  }
  return hash.value();
}

/// A random key for what belongs to a request as a whole; `step` and `position` are free.
inline RandomKey group_key(std::uint64_t seed, Purpose purpose, std::uint64_t fingerprint) {
  return {.seed = seed,
          .purpose = purpose,
          .item = static_cast<std::uint32_t>(fingerprint),
          .sample = static_cast<std::uint32_t>(fingerprint >> 32)};
}

/// The item's questions as the published code shows those of a video: "A. red" keeps its old letter, so that a shuffled
/// list reads "C) A. red" and gives the written order away. Questions of an item without a video are unchanged.
inline std::vector<Question> with_old_labels(const CaptionItem& item) {
  std::vector<Question> questions = item.questions;
  if (std::ranges::none_of(item.media, [](const auto& file) { return file.kind == MediaKind::video; }))
    return questions;
  for (Question& question : questions) {
    for (std::size_t i = 0; i < question.options.size(); ++i) {
      question.options[i] = std::string(1, option_letter(static_cast<Index>(i))) + ". " + question.options[i];
    }
  }
  return questions;
}

}  // namespace caprl
