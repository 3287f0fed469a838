#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "caprl/data/item.hpp"
#include "caprl/evaluate/caption_prompts.hpp"
#include "caprl/judge/judge_tokens.hpp"
#include "caprl/model/decoder_settings.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/optim/parameter_groups.hpp"
#include "caprl/policy/rollout.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/policy/vlm_prompt.hpp"
#include "caprl/tensor/weight_format.hpp"
#include "caprl/train/trainer.hpp"

namespace caprl {

/// The size of a prompt: its tokens, and its pictures' patches.
struct PromptShape {
  Index tokens = 0;
  std::vector<VisionGrid> pictures{};
};

inline PromptShape prompt_shape(const VlmPrompt& prompt) {
  PromptShape shape{.tokens = static_cast<Index>(prompt.tokens.size())};
  for (const Picture& picture : prompt.pictures) shape.pictures.push_back(picture.grid);
  return shape;
}

namespace detail {

/// Calls use(item) for at most `most` items, evenly picked.
template <class Use>
void for_some_items(std::span<const CaptionItem> items, Index most, const Use& use) {
  const auto count = std::min(static_cast<Index>(items.size()), most);
  for (Index i = 0; i < count; ++i) {
    use(items[static_cast<std::size_t>(i * static_cast<Index>(items.size()) / count)]);
  }
}

}  // namespace detail

/// The sizes of at most `most` items' prompts, evenly picked, whose media `load(item)` gives.
template <class P, class Load>
std::vector<PromptShape> prompt_shapes(const P& policy, std::span<const CaptionItem> items, const Load& load,
                                       Index most) {
  std::vector<PromptShape> shapes;
  detail::for_some_items(
      items, most, [&](const CaptionItem& item) { shapes.push_back(prompt_shape(policy.encode(item, load(item)))); });
  return shapes;
}

/// The most tokens that a judge reads around a caption, to ask a question of at most `most` items, evenly picked.
inline Index judge_prompt_tokens(const JudgeTokens& tokens, std::span<const CaptionItem> items, Index most) {
  std::size_t longest = 0;
  detail::for_some_items(items, most, [&](const CaptionItem& item) {
    for (const Question& question : item.questions) {
      OptionOrder order(question.options.size());
      std::iota(order.begin(), order.end(), Index{0});
      longest = std::max(longest, tokens.question_tokens(question, order).size());
    }
  });
  return static_cast<Index>(tokens.before_question("").size() + longest);
}

/// A judge that reads answers off a language model, or has it write them.
struct PlannedJudge {
  DecoderSettings model;
  Index maximum_rows = 2048;
  Index prompt_tokens = 0;  ///< around a caption, at most (`judge_prompt_tokens`): a prompt is not cut at maximum_rows
  Index draws = 0;          ///< questions that are asked about a caption, at most; 0: not known
  Index answer_tokens = 0;  ///< of an answer that is written, at most; 0: answers are read off
  WeightFormat weights = WeightFormat::float32;
};

/// What decides how much memory a run takes. The names are those of the settings that the numbers go to.
struct PlannedRun {
  std::vector<PromptShape> prompts;  ///< of the items, or of a sample of them; a batch is planned with the largest
  Index batch_items = 32;
  Index rollout_items = 0;  ///< captioned at once; 0: all
  Index samples = 8;
  Index maximum_tokens = 128;
  Index micro_tokens = 2048;
  Index shortest_caption = 0;  ///< tokens: short captions put more prompts in a micro-batch; 0: maximum_tokens / 4
  Index maximum_rows = 0;
  bool recompute_blocks = false;
  std::optional<LoraSettings> lora{};  ///< none: the weights are trained
  ParameterGroups groups{};
  bool reference = false;      ///< a second set of the weights is in memory
  Index validation_items = 0;  ///< kept encoded, and captioned once each
  Index test_items = 0;        ///< encoded and let go, as many at a time as are captioned at once
  std::optional<PlannedJudge> judge{};
  Index packed_bytes = GenerateSettings{}.packed_bytes;

  Index captioned_at_once() const { return rollout_items > 0 ? std::min(rollout_items, batch_items) : batch_items; }
  /// Of the held-out items. `rollout_items` is the batch of a measurement too, where it is told.
  Index measured_at_once() const {
    const Index most = rollout_items > 0 ? rollout_items : CaptionSettings{}.batch_items;
    return std::min(most, std::max(validation_items, test_items));
  }
};

/// What the trainer's and the policy's settings say of a run.
inline PlannedRun planned_run(const TrainerSettings& trainer, const VlmPolicySettings& policy) {
  PlannedRun run;
  run.batch_items = trainer.batch_items;
  run.rollout_items = trainer.rollout_items;
  run.samples = trainer.samples;
  run.maximum_tokens = trainer.maximum_tokens;
  run.micro_tokens = trainer.micro_tokens;
  run.maximum_rows = policy.maximum_rows;
  run.recompute_blocks = policy.recompute_blocks;
  run.groups = trainer.run.groups;
  return run;
}

}  // namespace caprl
