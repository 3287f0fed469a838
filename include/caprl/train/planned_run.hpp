#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "caprl/data/item.hpp"
#include "caprl/evaluate/caption_prompts.hpp"
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

/// The sizes of at most `most` items' prompts, evenly picked, whose media `load(item)` gives.
template <class P, class Load>
std::vector<PromptShape> prompt_shapes(const P& policy, std::span<const CaptionItem> items, const Load& load,
                                       Index most) {
  const auto count = std::min(static_cast<Index>(items.size()), most);
  std::vector<PromptShape> shapes;
  for (Index i = 0; i < count; ++i) {
    const CaptionItem& item = items[static_cast<std::size_t>(i * static_cast<Index>(items.size()) / count)];
    shapes.push_back(prompt_shape(policy.encode(item, load(item))));
  }
  return shapes;
}

/// A judge that reads answers off a language model, or has it write them.
struct PlannedJudge {
  DecoderSettings model;
  Index maximum_rows = 2048;
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
  bool reference = false;                                  ///< a second set of the weights is in memory
  Index held_out_items = 0;                                ///< kept encoded, and captioned once each,
  Index measured_at_once = CaptionSettings{}.batch_items;  ///< so many at a time
  std::optional<PlannedJudge> judge{};
  Index packed_bytes = GenerateSettings{}.packed_bytes;

  Index captioned_at_once() const { return rollout_items > 0 ? std::min(rollout_items, batch_items) : batch_items; }
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
