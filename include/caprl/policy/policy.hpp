#pragma once

#include <concepts>
#include <span>
#include <string_view>
#include <vector>

#include "caprl/autograd/var.hpp"
#include "caprl/data/item.hpp"
#include "caprl/media/clip.hpp"
#include "caprl/nn/module.hpp"
#include "caprl/policy/rollout.hpp"
#include "caprl/sampling/greedy.hpp"

namespace caprl {

/// A Policy captions media and gives differentiable log-probabilities of given captions.
///
/// Required of a policy `p`, with `P::Prompt` what it reads and `P::value_type`, `P::device_type` of its numbers:
///   p.encode(item, media)                    the item's prompt; `media` holds one clip for each of the item's files
///   p.generate(prompts, sampler, settings)   for each prompt a group of sampled captions, with log-probabilities
///   p.log_probabilities(prompts, groups, T)  of all tokens of all captions under softmax(z / T), one after the other
///                                            [tokens], recorded on the tape if one records
///   p.blocks()                               the named tensors, for optimizers and files
///
/// Laws (checked on every policy by the tests):
///   - log_probabilities gives what generate recorded, within 1e-3;
///   - a caption's tokens and numbers do not depend on the other prompts and captions of the call, beyond rounding;
///   - the same settings give the same captions.
template <class P>
concept Policy = requires(const P& policy, const CaptionItem& item, std::span<const Clip> media,
                          std::span<const typename P::Prompt> prompts, std::span<const RolloutGroup> groups,
                          const GenerateSettings& settings, const Greedy& sampler, double temperature) {
  { policy.encode(item, media) } -> std::same_as<typename P::Prompt>;
  { policy.generate(prompts, sampler, settings) } -> std::same_as<std::vector<RolloutGroup>>;
  {
    policy.log_probabilities(prompts, groups, temperature)
    } -> std::same_as<Var<typename P::value_type, typename P::device_type>>;
  { policy.blocks() } -> std::same_as<std::vector<NamedBlock<typename P::value_type, typename P::device_type>>>;
};

/// A policy that can be taught given captions: p.rollout_of(text) is the caption as its tokens, the one that ends it
/// included.
template <class P>
concept SupervisedPolicy = Policy<P> && requires(const P& policy, std::string_view text) {
  { policy.rollout_of(text) } -> std::same_as<Rollout>;
};

}  // namespace caprl
