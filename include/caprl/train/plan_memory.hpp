#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/model/any_vlm.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/model/packed_products.hpp"
#include "caprl/nn/kv_cache.hpp"
#include "caprl/optim/parameter_groups.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/tensor/weight_format.hpp"
#include "caprl/train/memory_plan.hpp"
#include "caprl/train/model_shapes.hpp"
#include "caprl/train/planned_run.hpp"

namespace caprl {

namespace detail {

template <class T, class Device>
Index bytes_of(const std::vector<Parameter<T, Device>>& parameters) {
  Index bytes = 0;
  for (const auto& parameter : parameters) bytes += bytes_of_numbers(parameter.shape().elements());
  return bytes;
}

/// `PackedProducts` of a decoder.
template <class T, class Device>
Index packed_bytes(const Decoder<T, Device>& decoder, WeightFormat format) {
  const auto packed = [format](const Parameter<T, Device>& weight) {
    return bytes_of_numbers(panels_of(weight.shape()[0]) * weight.shape()[1] * words_of_panel(format));
  };
  Index bytes = packed(decoder.head);
  for (const auto& block : decoder.blocks) {
    bytes += packed(block.query_key_value.weight) + packed(block.output.weight) + packed(block.gate_up.weight) +
             packed(block.down.weight);
  }
  return bytes;
}

/// The chunks of a `KvCache` with so many pages.
inline Index cache_bytes(const DecoderSettings& settings, Index pages) {
  const KvCacheShape shape{
      .layers = settings.layers, .key_heads = settings.block.key_value_heads, .head_size = settings.block.head_size};
  constexpr Index chunk_pages = KvCache<float>::chunk_pages;
  const Index chunk = shape.layers * 2 * shape.key_heads * chunk_pages * cache_block_elements<float>(Cpu{}, shape);
  return (pages + chunk_pages - 1) / chunk_pages * bytes_of_numbers(chunk);
}

/// Prompts, with captions of the same length each or without.
struct BatchShape {
  std::vector<PromptShape> prompts;
  Index samples = 0;
  Index caption_tokens = 0;

  Index groups() const { return static_cast<Index>(prompts.size()); }
  /// A caption's last token takes no row.
  Index caption_rows() const { return std::max<Index>(0, caption_tokens - 1); }
  Index captions() const { return groups() * samples; }
  /// Distinct rows that predict a token of a caption: a prompt's last, and those of the captions.
  Index rows_read() const { return groups() + captions() * caption_rows(); }

  /// Prompts begin alike, at least with their first token.
  PrefixTree tree() const {
    const bool joined = groups() > 1;
    std::vector<Index> parents, lengths;
    const auto add = [&](Index parent, Index length) {
      parents.push_back(parent);
      lengths.push_back(length);
      return static_cast<Index>(parents.size()) - 1;
    };
    const Index beginning = joined ? add(-1, 1) : -1;
    for (const PromptShape& prompt : prompts) {
      const Index of_prompt = add(beginning, prompt.tokens - (joined ? 1 : 0));
      for (Index sample = 0; sample < samples && caption_rows() > 0; ++sample) add(of_prompt, caption_rows());
    }
    return PrefixTree::from_segments(parents, lengths);
  }

  std::vector<VisionGrid> pictures() const {
    std::vector<VisionGrid> all;
    for (const PromptShape& prompt : prompts) all.insert(all.end(), prompt.pictures.begin(), prompt.pictures.end());
    return all;
  }

  /// Pages of a cache when the prompts have been read, and when captions have this many tokens in it.
  Index prompt_pages(Index page_tokens) const {
    Index pages = 1;  // for the end of what prompts have in common
    for (const PromptShape& prompt : prompts) pages += (prompt.tokens + page_tokens - 1) / page_tokens;
    return pages;
  }
  Index pages(Index page_tokens) const {
    Index pages = 1;
    for (const PromptShape& prompt : prompts) {
      const Index shared = prompt.tokens / page_tokens;
      const Index of_caption = (prompt.tokens + caption_rows() + page_tokens - 1) / page_tokens - shared;
      pages += shared + samples * of_caption;
    }
    return std::max(pages, prompt_pages(page_tokens));
  }
};

/// Makes the plan of a run with a model whose tensors have shapes alone.
template <class Model>
class MemoryPlanner {
 public:
  MemoryPlanner(const Model& model, const PlannedRun& run) : model_(model), run_(run) {
    require(!run.prompts.empty(), "[plan_memory] expected the size of at least one prompt");
    require(run.batch_items >= 1 && run.samples >= 1 && run.maximum_tokens >= 1,
            "[plan_memory] expected batch_items, samples and maximum_tokens of at least 1");
    const Index base = bytes_of(parameters_of<float, ShapesOnly>(model_));
    if (run.lora) add_lora<float, ShapesOnly>(model_, *run.lora, 0);
    model_.set_recompute_blocks(run.recompute_blocks);
    auto blocks = named_blocks<float, ShapesOnly>(model_);
    for (auto& block : lora_blocks<float, ShapesOnly>(model_)) blocks.push_back(std::move(block));
    const Index weights = bytes_of(parameters_of(blocks));
    const Index trained = bytes_of(apply_groups(run.groups, std::move(blocks)).parameters);
    plan_.held.name = "held";
    hold("weights", weights);
    hold("gradients", trained);
    hold("optimizer", 2 * trained);
    hold("reference weights", run.reference ? base : 0);
    if (run.judge) hold("judge weights", judge_weights(*run.judge));
    hold("pictures", pixels(largest(run.batch_items)) + pixels(largest(run.held_out_items)));
  }

  MemoryPlan plan() {
    caption("rollout", {largest(run_.captioned_at_once()), run_.samples, run_.maximum_tokens});
    if (run_.judge) judge(*run_.judge);
    update(largest_micro_batch());
    if (run_.held_out_items > 0) {
      caption("validation", {largest(std::min(run_.held_out_items, run_.measured_at_once)), 1, run_.maximum_tokens});
    }
    return std::move(plan_);
  }

 private:
  void hold(const char* name, Index bytes) {
    if (bytes > 0) plan_.held.lines.push_back({name, bytes});
  }

  /// As many prompts as that, the largest first; where fewer are known, each stands for more of its kind.
  std::vector<PromptShape> largest(Index count) const {
    std::vector<PromptShape> sorted = run_.prompts;
    std::ranges::stable_sort(sorted, std::ranges::greater{}, &PromptShape::tokens);
    const auto known = static_cast<Index>(sorted.size());
    std::vector<PromptShape> prompts;
    for (Index i = 0; i < count; ++i) {
      prompts.push_back(sorted[static_cast<std::size_t>(count <= known ? i : i * known / count)]);
    }
    return prompts;
  }

  Index pixels(const std::vector<PromptShape>& prompts) const {
    Index bytes = 0;
    for (const PromptShape& prompt : prompts) {
      for (const VisionGrid& grid : prompt.pictures) bytes += bytes_of_numbers(picture_numbers(model_.settings, grid));
    }
    return bytes;
  }

  static Index judge_weights(const PlannedJudge& judge) {
    const Decoder<float, ShapesOnly> model(judge.model);
    const Index bytes = bytes_of(parameters_of<float, ShapesOnly>(model));
    // A judge with bf16 weights has a rounded model of its own, and the same laid out.
    return judge.weights == WeightFormat::float32 ? bytes : 2 * bytes + packed_bytes(model, WeightFormat::bf16);
  }

  struct InputShapes {
    ShapeVar rows;
    FeatureShapes of_layers;
  };

  /// `embed_batch`
  InputShapes embedded(ShapeTape& tape, const BatchShape& batch, Index rows) const {
    const std::vector<VisionGrid> pictures = batch.pictures();
    FeatureShapes features;
    for (const VisionGrid& grid : pictures) features.placed += picture_tokens(model_.settings, grid);
    const Index placed = features.placed;
    if (!pictures.empty()) features = feature_shapes(tape, model_, pictures);
    InputShapes input{tape.embed(model_.language.embedding, features.rows, rows), std::move(features)};
    input.of_layers.rows = {};
    input.of_layers.placed = placed;
    return input;
  }

  /// `generate`: prompts are read at once, then captions written token by token.
  void caption(const std::string& name, const BatchShape& batch) {
    const DecoderSettings& settings = model_.language.settings;
    const bool packs = PackedProducts::pays(model_.language, batch.captions(), run_.packed_bytes);
    const Index packed = packs ? packed_bytes(model_.language, WeightFormat::float32) : 0;
    const Index page = KvCacheShape{}.page_tokens;
    const PrefixTree tree = BatchShape{batch.prompts}.tree();
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const InputShapes input = embedded(tape, batch, tree.rows());
    const Index kept = meter.in_use();
    const MemoryPhase prompts{name + ": prompts",
                              {{"KV cache", cache_bytes(settings, batch.prompt_pages(page))},
                               {"packed weights", packed},
                               {"activations", kept + peak_of_reading(tree, batch.captions(), input.of_layers)}}};
    if (meter.peak() > prompts.bytes()) plan_.phases.push_back({name + ": pictures", {{"activations", meter.peak()}}});
    plan_.phases.push_back(prompts);
    plan_.phases.push_back({name + ": captions",
                            {{"KV cache", cache_bytes(settings, batch.pages(page))},
                             {"packed weights", packed},
                             {"activations", kept + peak_of_writing(batch.captions())}}});
  }

  /// Beyond the prompts' embedded rows.
  Index peak_of_reading(const PrefixTree& tree, Index captions, const FeatureShapes& features) const {
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const auto rows = AttentionRows::of(tree, 0, true);
    const auto attend = [&](ShapeTape& at, std::size_t, const ShapeVar& qkv) {
      return at.tree_attention(qkv, rows, heads_of(model_.language.settings.block));
    };
    const ShapeVar embedded_rows(tree.rows(), model_.language.settings.block.hidden_size, {}, false);
    draw(tape, embedded_rows, captions, attend, features);
    return meter.peak();
  }

  /// One token of each caption.
  Index peak_of_writing(Index captions) const {
    const BlockSettings& sizes = model_.language.settings.block;
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const auto attend = [&](ShapeTape& at, std::size_t, const ShapeVar& qkv) {
      return at.leaf(qkv.rows(), sizes.query_columns());
    };
    draw(tape, tape.leaf(captions, sizes.hidden_size), captions, attend, {});
    return meter.peak();
  }

  /// One pass of the decoder, and the draw of a token for each caption: logits, and logarithms of probabilities.
  template <class Attend>
  void draw(ShapeTape& tape, const ShapeVar& x, Index captions, const Attend& attend,
            const FeatureShapes& features) const {
    const DecoderSettings& settings = model_.language.settings;
    const auto angles = angle_shapes(tape, x.rows(), settings.block.head_size);
    const ShapeVar hidden = decoder_shapes(tape, model_.language, x, angles, attend, features);
    const HeldNumbers states = tape.hold(captions * x.columns());
    const HeldNumbers logits = tape.hold(captions * settings.vocabulary_size);
    const HeldNumbers log_probabilities = tape.hold(captions * settings.vocabulary_size);
  }

  /// `QuestionReader`: a full pass, in which each question takes some rows.
  void judge(const PlannedJudge& planned) {
    constexpr Index fewest_rows_of_question = 16;
    const Decoder<float, ShapesOnly> model(planned.model);
    const Index rows = std::max(planned.maximum_rows, run_.maximum_tokens);
    const Index questions = std::max<Index>(1, rows / fewest_rows_of_question);
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const ShapeVar x = tape.leaf(rows, planned.model.block.hidden_size);
    const std::vector<Index> one{rows};
    log_probability_shapes(tape, model, x, PrefixTree::from_lengths(one), questions, 8 * questions, {});
    plan_.phases.push_back({"judge", {{"activations", meter.peak()}}});
  }

  /// Where captions may be short, more prompts stand in a micro-batch: the length with the most rows.
  BatchShape largest_micro_batch() const {
    const Index shortest = run_.shortest_caption > 0 ? run_.shortest_caption : run_.maximum_tokens / 4;
    const Index prompt = largest(1).front().tokens;
    const auto groups_of = [&](Index tokens) {
      return std::clamp<Index>(run_.micro_tokens / (run_.samples * tokens), 1, run_.batch_items);
    };
    const auto rows_of = [&](Index tokens) { return groups_of(tokens) * (prompt + run_.samples * (tokens - 1)); };
    Index worst = run_.maximum_tokens;
    for (Index tokens = std::max<Index>(1, shortest); tokens < run_.maximum_tokens; ++tokens) {
      if (rows_of(tokens) > rows_of(worst)) worst = tokens;
    }
    return {largest(groups_of(worst)), run_.samples, worst};
  }

  /// `add_policy_gradients` of a micro-batch.
  void update(const BatchShape& batch) {
    MemoryMeter meter;
    Index kept = 0;
    {
      ShapeTape tape(meter, true);
      const ShapeVar log_probabilities = log_probability_shapes_of(tape, meter, batch);
      tape.seed_gradient(log_probabilities);
      kept = meter.in_use();
      tape.backward();
    }
    plan_.phases.push_back(
        {"update", {{"kept for backward", kept}, {"gradients of activations", meter.peak() - kept}}});
  }

  /// `VlmPolicy::log_probabilities`
  ShapeVar log_probability_shapes_of(ShapeTape& tape, MemoryMeter& meter, const BatchShape& batch) const {
    const PrefixTree tree = batch.tree();
    const Index pairs = batch.captions() * batch.caption_tokens;
    const InputShapes input = embedded(tape, batch, tree.rows());
    if (run_.maximum_rows > 0 && tree.rows() > run_.maximum_rows) {
      return log_probability_shapes_by_parts(tape, meter, model_.language, input.rows, tree, pairs, run_.maximum_rows,
                                             input.of_layers);
    }
    return log_probability_shapes(tape, model_.language, input.rows, tree, batch.rows_read(), pairs, input.of_layers);
  }

  Model model_;
  const PlannedRun& run_;
  MemoryPlan plan_;
};

}  // namespace detail

/// The memory that a run with this kind of model would take, from sizes alone: `plan_memory<Qwen25Vl>(settings, run)`
/// with the settings of a config.json. Counted is what the allocator hands out, float numbers on the CPU; lists of
/// integers (tokens, layouts) and files being read are not.
template <template <class, class> class Model>
MemoryPlan plan_memory(const decltype(std::declval<Model<float, ShapesOnly>>().settings)& settings,
                       const PlannedRun& run) {
  return detail::MemoryPlanner<Model<float, ShapesOnly>>(Model<float, ShapesOnly>(settings), run).plan();
}

/// The same for a model or policy that there is; adapters and frozen tensors are those of `run`.
template <template <class, class> class Model, class T, class Device>
requires requires(const Model<T, Device>& model) { model.settings; }
MemoryPlan plan_memory(const Model<T, Device>& model, const PlannedRun& run) {
  return plan_memory<Model>(model.settings, run);
}
template <class T, class Device>
MemoryPlan plan_memory(const AnyVlm<T, Device>& any, const PlannedRun& run) {
  return any.visit_model([&](const auto& model) { return plan_memory(model, run); });
}
template <class Model, class T, class Device>
MemoryPlan plan_memory(const VlmPolicy<Model, T, Device>& policy, const PlannedRun& run) {
  return plan_memory(policy.model(), run);
}

}  // namespace caprl
