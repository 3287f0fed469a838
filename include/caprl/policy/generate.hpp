#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caprl/autograd/attention.hpp"
#include "caprl/autograd/embedding.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/model/packed_products.hpp"
#include "caprl/nn/kv_cache.hpp"
#include "caprl/policy/prompt_positions.hpp"
#include "caprl/policy/rollout.hpp"
#include "caprl/sampling/sampler.hpp"
#include "caprl/tensor/cpu/head.hpp"
#include "caprl/tensor/kernels/softmax.hpp"
#include "caprl/tensor/prefix_tree_builder.hpp"

namespace caprl {

namespace detail {

/// Rollouts in the making: each prompt is read once, its samples grow together against its pages of the cache, and
/// finished ones leave the batch.
template <class T, class Device, Sampler S>
class Generation {
 public:
  Generation(const Decoder<T, Device>& model, const S& sampler, const GenerateSettings& settings,
             const std::vector<Token>& ends, const PackedProducts* packed, const PromptPositions& positions,
             const LayerFeatures<T, Device>& features)
      : model_(model),
        sampler_(sampler),
        settings_(settings),
        ends_(ends),
        packed_(packed),
        positions_(positions),
        features_(features),
        cache_(cache_shape(model.settings)) {}

  std::vector<RolloutGroup> run(const Var<T, Device>& prompt_rows, const SharedBatch& prompts) {
    require(settings_.item_keys.empty() || settings_.item_keys.size() == prompts.lengths.size(),
            "[generate] expected no item_keys, or one for each prompt");
    require(positions_.rows.values.empty() || positions_.next.size() == prompts.lengths.size(),
            "[generate] expected, with positions, that of the caption after each prompt");
    lengths_ = prompts.lengths;
    groups_.assign(prompts.lengths.size(), RolloutGroup(static_cast<std::size_t>(settings_.samples)));
    read_prompts(prompt_rows, prompts);
    while (!live_.empty()) {
      const Var<T, Device> hidden = step();
      std::vector<Index> rows(live_.size());
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<Index>(i);
      draw(hidden, rows);
    }
    return std::move(groups_);
  }

 private:
  struct Live {
    std::size_t prompt;
    std::size_t sample;
    SequenceId sequence;
  };

  static KvCacheShape cache_shape(const DecoderSettings& settings) {
    return {
        .layers = settings.layers, .key_heads = settings.block.key_value_heads, .head_size = settings.block.head_size};
  }

  const TransformerBlock<T, Device>& block(Index layer) const { return model_.blocks[static_cast<std::size_t>(layer)]; }

  /// The query, key and value columns of a block's fused product.
  struct Heads {
    Rows<T> q, k, v;
  };
  Heads heads(Index layer, const Var<T, Device>& qkv) const {
    const Index q = block(layer).settings.query_columns();
    const Index k = block(layer).settings.key_columns();
    const Rows<T> rows = qkv.rows();
    return {rows.columns_between(0, q), rows.columns_between(q, q + k), rows.columns_between(q + k, q + 2 * k)};
  }

  void read_prompts(const Var<T, Device>& prompt_rows, const SharedBatch& prompts) {
    const PrefixTree& tree = prompts.tree;
    const CachePrefill places = cache_.prefill(tree);
    const auto angles = model_.rotary(tree, positions_.rows);
    const auto attend = [&](Index layer, const Var<T, Device>& qkv) {
      const Heads parts = heads(layer, qkv);
      cache_.store(places.slots, layer, parts.k, parts.v);
      return tree_attention(qkv, tree, block(layer).attention_options());
    };
    const auto hidden = model_(prompt_rows, angles, attend, TapedProducts{}, features_);
    std::vector<Index> last_rows;
    for (std::size_t p = 0; p < groups_.size(); ++p) {
      const Index segment = prompts.paths[p].back();
      const Index last = prompts.row(static_cast<Index>(p), prompts.lengths[p] - 1);
      if (last + 1 != tree.segment(segment).row_end) {
        throw Error("[generate] expected no prompt to be the beginning of another, got prompt " + std::to_string(p));
      }
      const auto forks = cache_.fork(places.sequences[static_cast<std::size_t>(segment)], settings_.samples);
      for (std::size_t s = 0; s < forks.size(); ++s) {
        live_.push_back({p, s, forks[s]});
        last_rows.push_back(last);
      }
    }
    for (const SequenceId sequence : places.sequences) cache_.release(sequence);
    draw(hidden, last_rows);
  }

  /// The hidden states [live, C] after each live caption's last token.
  Var<T, Device> step() {
    std::vector<SequenceId> sequences;
    std::vector<Index> tokens;
    for (const Live& live : live_) {
      sequences.push_back(live.sequence);
      tokens.push_back(groups_[live.prompt][live.sample].tokens.back());
    }
    const CacheStep places = cache_.append(sequences);
    const auto angles = model_.rotary(caption_positions(places.positions));
    const auto rows = embed(model_.embedding, Var<T, Device>(), std::move(tokens));
    const auto attend = [&](Index layer, const Var<T, Device>& qkv) {
      const Heads parts = heads(layer, qkv);
      cache_.store(places.slots, layer, parts.k, parts.v);
      Var<T, Device> out(Tensor<T, Device>({parts.q.rows, parts.q.columns}));
      cache_.attend(places, layer, block(layer).attention_options(), parts.q, out.rows());
      return out;
    };
    if constexpr (std::is_same_v<T, float> && std::is_same_v<Device, Cpu>) {
      if (use_packed(rows.shape().rows())) return model_(rows, angles, attend, *packed_);
    }
    return model_(rows, angles, attend);
  }

  /// Where the live captions' newest tokens, at `depths`, stand on all axes.
  std::vector<Index> caption_positions(std::vector<Index> depths) const {
    if (positions_.rows.values.empty()) return depths;
    for (std::size_t i = 0; i < depths.size(); ++i) {
      depths[i] += positions_.next[live_[i].prompt] - lengths_[live_[i].prompt];
    }
    return depths;
  }

  bool use_packed(Index rows) const { return packed_ != nullptr && packed_->serves(rows); }

  void head_logits(Rows<T> states, Rows<float> logits) const {
    if constexpr (std::is_same_v<T, float> && std::is_same_v<Device, Cpu>) {
      if (use_packed(states.rows)) return multiply(Cpu{}, states, packed_->of(model_.head), logits);
    }
    caprl::logits(Device{}, states, model_.head.rows(), logits);
  }

  /// Draws the next token of each live caption from the hidden state in its row; captions that end leave.
  void draw(const Var<T, Device>& hidden, std::span<const Index> rows) {
    const auto count = static_cast<Index>(live_.size());
    const Index vocabulary = model_.settings.vocabulary_size;
    Tensor<T, Device> states({count, hidden.shape().columns()});
    gather_rows(Device{}, hidden.rows(), rows, states.rows());
    Tensor<float, Device> logits({count, vocabulary});
    head_logits(states.rows(), logits.rows());
    Tensor<float, Device> log_probabilities(logits.shape());
    const double temperature = sampler_.temperature() > 0 ? sampler_.temperature() : 1.0;
    log_softmax(Device{}, static_cast<float>(1.0 / temperature), logits.rows(), log_probabilities.rows());
    parallel_for(count, 16, [&](Index i) {
      const Live& live = live_[static_cast<std::size_t>(i)];
      Rollout& rollout = groups_[live.prompt][live.sample];
      const std::span<float> row(logits.rows().row(i), static_cast<std::size_t>(vocabulary));
      const Token token = sampler_(row, rollout.tokens, key_of(live, rollout.tokens.size()));
      rollout.tokens.push_back(token);
      rollout.log_probabilities.push_back(log_probabilities.rows()(i, token));
    });
    tell();
    leave();
  }

  void tell() const {
    if (!settings_.on_token) return;
    for (const Live& live : live_) {
      settings_.on_token({.prompt = static_cast<Index>(live.prompt),
                          .sample = static_cast<Index>(live.sample),
                          .token = groups_[live.prompt][live.sample].tokens.back()});
    }
  }

  RandomKey key_of(const Live& live, std::size_t position) const {
    const bool named = !settings_.item_keys.empty();
    return {.seed = settings_.seed,
            .purpose = Purpose::sampling,
            .step = settings_.step,
            .item = named ? settings_.item_keys[live.prompt] : static_cast<std::uint32_t>(live.prompt),
            .sample = static_cast<std::uint32_t>(live.sample),
            .position = static_cast<std::uint32_t>(position)};
  }

  void leave() {
    std::erase_if(live_, [&](const Live& live) {
      const Rollout& rollout = groups_[live.prompt][live.sample];
      const bool done = std::ranges::find(ends_, rollout.tokens.back()) != ends_.end() ||
                        static_cast<Index>(rollout.tokens.size()) >= settings_.maximum_tokens;
      if (done) cache_.release(live.sequence);
      return done;
    });
  }

  const Decoder<T, Device>& model_;
  const S& sampler_;
  const GenerateSettings& settings_;
  const std::vector<Token>& ends_;
  const PackedProducts* packed_;
  const PromptPositions& positions_;
  const LayerFeatures<T, Device>& features_;  ///< of the prompts' rows
  std::vector<Index> lengths_;                ///< of the prompts
  KvCache<T, Device> cache_;
  std::vector<RolloutGroup> groups_;
  std::vector<Live> live_;
};

}  // namespace detail

/// Samples captions for prompts laid out as a tree: `prompt_rows` [rows, C] are the embedded tokens. Each caption ends
/// with one of `ends` or at the length limit. Captions are not decoded to text here. `packed`, if not null, are the
/// model's weights for steps of few captions; otherwise see `GenerateSettings::packed_bytes`. Without `positions`,
/// tokens stand at their depths. `features` is what is added to the outputs of the first layers.
template <class T, class Device, Sampler S>
std::vector<RolloutGroup> generate(const Decoder<T, Device>& model, const Var<T, Device>& prompt_rows,
                                   const SharedBatch& prompts, const S& sampler, const GenerateSettings& settings,
                                   const std::vector<Token>& ends, const PackedProducts* packed = nullptr,
                                   const PromptPositions& positions = {},
                                   const LayerFeatures<T, Device>& features = {}) {
  require(settings.samples >= 1 && settings.maximum_tokens >= 1,
          "[generate] expected at least one sample of at least one token");
  std::optional<PackedProducts> own;
  if constexpr (std::is_same_v<T, float> && std::is_same_v<Device, Cpu>) {
    const Index captions = static_cast<Index>(prompts.lengths.size()) * settings.samples;
    if (packed == nullptr && PackedProducts::pays(model, captions, settings.packed_bytes)) {
      packed = &own.emplace(model, WeightFormat::float32);
    }
  }
  return detail::Generation<T, Device, S>(model, sampler, settings, ends, packed, positions, features)
      .run(prompt_rows, prompts);
}

}  // namespace caprl
