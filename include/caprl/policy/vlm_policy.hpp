#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/model/log_probabilities_by_parts.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/model/tiny_vlm.hpp"
#include "caprl/policy/generate.hpp"
#include "caprl/policy/policy.hpp"
#include "caprl/policy/vlm_batch.hpp"

namespace caprl {

template <class T, class Device>
ChatTemplate chat_template(const Tokenizer& tokenizer, const TinyVlm<T, Device>&) {
  return ChatTemplate(tokenizer);
}
template <class T, class Device>
VlmPromptEncoder prompt_encoder(const ChatTemplate& chat, const TinyVlm<T, Device>& model) {
  const TinyVlmSettings& settings = model.settings;
  return {chat, settings.vision, {.mean = settings.image_mean, .deviation = settings.image_deviation}};
}

struct VlmPolicySettings {
  Index maximum_rows = 0;                ///< a batch of more distinct tokens is worked through by subtrees; 0: never
  bool recompute_blocks = false;         ///< keep only blocks' inputs for backward; by subtrees, the tower's alone
  std::optional<WeightFormat> packed{};  ///< for captioning alone: weights laid out once for few captions at a time;
                                         ///< training them afterwards is not seen, and bf16 rounds them
  std::vector<Token> end_tokens{};       ///< that end a caption as the chat's turn end does
};

/// A vision-language model with its tokenizer, as a policy.
///
/// Required of a model `m`:
///   m.language                             its `Decoder`
///   m.set_recompute_blocks(recompute)      for its tower and decoder: `VlmPolicySettings::recompute_blocks`
///   m.picture_tokens(picture)              how many tokens stand for a `Picture`
///   m.features(pictures)                   their `PictureFeatures`, which the decoder reads
///   m.positions(tokens, pictures)          the `SequencePositions` of so many tokens with these `PlacedPicture`s
///   chat_template(tokenizer, m)            its `ChatTemplate`
///   prompt_encoder(chat, m)                the function from an item and its media to a `VlmPrompt`
template <class Model, class T, class Device = Cpu>
class VlmPolicy {
 public:
  using Prompt = VlmPrompt;
  using value_type = T;
  using device_type = Device;

  VlmPolicy(Model model, const Tokenizer& tokenizer, const VlmPolicySettings& settings = {})
      : model_(std::move(model)),
        settings_(settings),
        chat_(chat_template(tokenizer, model_)),
        ends_{chat_.special_tokens().turn_end},
        encoder_(prompt_encoder(chat_, model_)) {
    if (tokenizer.vocabulary_size() > vocabulary_size()) {
      throw Error("[VlmPolicy] expected a tokenizer of at most " + std::to_string(vocabulary_size()) + " tokens, got " +
                  std::to_string(tokenizer.vocabulary_size()));
    }
    for (const Token token : settings.end_tokens) require_in_vocabulary(token);
    ends_.insert(ends_.end(), settings.end_tokens.begin(), settings.end_tokens.end());
    model_.set_recompute_blocks(settings.recompute_blocks);
    if constexpr (!std::is_same_v<T, float>) {
      require(!settings.packed, "[VlmPolicy] expected float numbers for packed weights");
    } else {
      if (settings.packed) packed_.emplace(model_.language, *settings.packed);
    }
  }

  /// True if training would not be seen by `generate`.
  bool captions_only() const { return packed_.has_value(); }

  Prompt encode(const CaptionItem& item, std::span<const Clip> media) const { return encoder_(item, media); }

  /// Captions for each prompt; see `GenerateSettings`.
  template <Sampler S>
  std::vector<RolloutGroup> generate(std::span<const Prompt> prompts, const S& sampler,
                                     const GenerateSettings& settings) const {
    const NoGradient silent;
    const VlmBatch batch = make_vlm_batch(prompts, {}, model_);
    const VlmInput<T, Device> input = embed_batch<T, Device>(model_, batch);
    auto groups = caprl::generate(model_.language, input.rows, batch.shared, sampler, settings, ends_,
                                  packed_ ? &*packed_ : nullptr, batch.positions, input.of_layers);
    for (RolloutGroup& group : groups) {
      for (Rollout& rollout : group) rollout.caption = caption_of(rollout.tokens);
    }
    return groups;
  }

  /// [tokens of all captions]
  Var<T, Device> log_probabilities(std::span<const Prompt> prompts, std::span<const RolloutGroup> groups,
                                   double temperature) const {
    VlmBatch batch = make_vlm_batch(prompts, groups, model_);
    const VlmInput<T, Device> input = embed_batch<T, Device>(model_, batch);
    if (settings_.maximum_rows > 0 && batch.shared.tree.rows() > settings_.maximum_rows) {
      return log_probabilities_by_parts(model_.language, input.rows, batch.shared.tree, std::move(batch.pairs),
                                        1.0 / temperature, settings_.maximum_rows, batch.positions.rows,
                                        input.of_layers);
    }
    return model_.language.log_probabilities(input.rows, batch.shared.tree, std::move(batch.pairs), 1.0 / temperature,
                                             batch.positions.rows, input.of_layers);
  }

  /// A caption that was written by somebody as if it had been sampled: for supervised training.
  Rollout rollout_of(std::string_view text) const {
    Rollout rollout;
    rollout.tokens = chat_.tokenizer().encode(text);
    rollout.tokens.push_back(ends_.front());
    rollout.caption = caption_of(rollout.tokens);
    return rollout;
  }

  /// Those of the model's files, and those of adapters.
  std::vector<NamedBlock<T, Device>> blocks() const {
    auto blocks = named_blocks<T, Device>(model_);
    for (auto& block : lora_blocks<T, Device>(model_)) blocks.push_back(std::move(block));
    return blocks;
  }
  const Model& model() const { return model_; }
  const Tokenizer& tokenizer() const { return chat_.tokenizer(); }
  /// What ends a caption: the chat's turn end, then those of the settings.
  const std::vector<Token>& end_tokens() const { return ends_; }

 private:
  Index vocabulary_size() const { return model_.language.settings.vocabulary_size; }

  void require_in_vocabulary(Token token) const {
    if (token >= 0 && token < vocabulary_size()) return;
    throw Error("[VlmPolicy] expected end_tokens of the model's vocabulary of " + std::to_string(vocabulary_size()) +
                ", got " + std::to_string(token));
  }

  Caption caption_of(std::span<const Token> tokens) const {
    const bool finished = !tokens.empty() && std::ranges::find(ends_, tokens.back()) != ends_.end();
    const auto written = tokens.first(tokens.size() - (finished ? 1 : 0));
    return {.text = tokenizer().decode_any(written), .tokens = length_of(written), .truncated = !finished};
  }

  /// In tokens of the text without special ones. Counted afresh: a policy may draw a word in more pieces than it has.
  Index length_of(std::span<const Token> drawn) const {
    std::vector<Token> ordinary(drawn.begin(), drawn.end());
    std::erase_if(ordinary, [this](Token token) { return tokenizer().is_special(token); });
    return static_cast<Index>(tokenizer().encode(tokenizer().decode_any(ordinary)).size());
  }

  Model model_;
  VlmPolicySettings settings_;
  std::optional<PackedProducts> packed_;
  ChatTemplate chat_;
  std::vector<Token> ends_;  ///< the first is that of the chat
  using Encoder = decltype(prompt_encoder(std::declval<const ChatTemplate&>(), std::declval<const Model&>()));
  Encoder encoder_;
};

template <class T = float>
using TinyVlmPolicy = VlmPolicy<TinyVlm<T>, T>;

}  // namespace caprl
