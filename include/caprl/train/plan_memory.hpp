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
    return judge.weights == WeightFormat::float32 ? bytes
                                                  : 2 * bytes + PackedProducts::packed_bytes(model, WeightFormat::bf16);
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

  using ShapeDecoder = Decoder<float, ShapesOnly>;

  /// `generate` of a policy: pictures are seen, then prompts read at once, then captions written token by token.
  void caption(const std::string& name, const BatchShape& batch) {
    const Index page = KvCacheShape{}.page_tokens;
    const PrefixTree tree = BatchShape{batch.prompts}.tree();
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const InputShapes input = embedded(tape, batch, tree.rows());
    const Index before = plan_.phases.size();
    write(name, model_.language,
          {.tree = tree,
           .sequences = batch.captions(),
           .pages_read = batch.prompt_pages(page),
           .pages_written = batch.pages(page),
           .packed = packed_for(model_.language, batch.captions(), run_.packed_bytes),
           .kept = meter.in_use()},
          input.of_layers);
    if (meter.peak() <= plan_.phases[static_cast<std::size_t>(before)].bytes()) return;
    plan_.phases.insert(plan_.phases.begin() + before, {name + ": pictures", {{"activations", meter.peak()}}});
  }

  static Index packed_for(const ShapeDecoder& decoder, Index sequences, Index most_bytes) {
    const bool packs = PackedProducts::pays(decoder, sequences, most_bytes);
    return packs ? PackedProducts::packed_bytes(decoder, WeightFormat::float32) : 0;
  }

  /// What `generate` reads at once and writes token by token, with a cache of so many pages after either.
  struct Writing {
    const PrefixTree& tree;
    Index sequences;
    Index pages_read, pages_written;
    Index packed;  ///< weights laid out for it
    Index kept;    ///< rows that were read
    const char* written = ": captions";
  };

  void write(const std::string& name, const ShapeDecoder& decoder, const Writing& writing,
             const FeatureShapes& features) {
    const auto add = [&](const char* what, Index pages, Index activations) {
      plan_.phases.push_back({name + what,
                              {{"KV cache", cache_bytes(decoder.settings, pages)},
                               {"packed weights", writing.packed},
                               {"activations", writing.kept + activations}}});
    };
    add(": prompts", writing.pages_read, peak_of_reading(decoder, writing.tree, writing.sequences, features));
    add(writing.written, writing.pages_written, peak_of_writing(decoder, writing.sequences));
  }

  /// Beyond the prompts' embedded rows.
  Index peak_of_reading(const ShapeDecoder& decoder, const PrefixTree& tree, Index sequences,
                        const FeatureShapes& features) const {
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const auto rows = AttentionRows::of(tree, 0, true);
    const auto attend = [&](ShapeTape& at, std::size_t, const ShapeVar& qkv) {
      return at.tree_attention(qkv, rows, heads_of(decoder.settings.block));
    };
    const ShapeVar embedded_rows(tree.rows(), decoder.settings.block.hidden_size, {}, false);
    draw(tape, decoder, embedded_rows, sequences, attend, features);
    return meter.peak();
  }

  /// One token of each sequence.
  Index peak_of_writing(const ShapeDecoder& decoder, Index sequences) const {
    const BlockSettings& sizes = decoder.settings.block;
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const auto attend = [&](ShapeTape& at, std::size_t, const ShapeVar& qkv) {
      return at.leaf(qkv.rows(), sizes.query_columns());
    };
    draw(tape, decoder, tape.leaf(sequences, sizes.hidden_size), sequences, attend, {});
    return meter.peak();
  }

  /// One pass of a decoder, and the draw of a token for each sequence: logits, and logarithms of probabilities.
  template <class Attend>
  void draw(ShapeTape& tape, const ShapeDecoder& decoder, const ShapeVar& x, Index sequences, const Attend& attend,
            const FeatureShapes& features) const {
    const auto angles = angle_shapes(tape, x.rows(), decoder.settings.block.head_size);
    const ShapeVar hidden = decoder_shapes(tape, decoder, x, angles, attend, features);
    const HeldNumbers states = tape.hold(sequences * x.columns());
    const HeldNumbers logits = tape.hold(sequences * decoder.settings.vocabulary_size);
    const HeldNumbers log_probabilities = tape.hold(sequences * decoder.settings.vocabulary_size);
  }

  /// `QuestionReader`: a full pass, in which each question takes some rows.
  void judge(const PlannedJudge& planned) {
    constexpr Index fewest_rows_of_question = 16;
    const ShapeDecoder model(planned.model);
    const Index rows = std::max(planned.maximum_rows, run_.maximum_tokens);
    const Index questions = std::max<Index>(1, rows / fewest_rows_of_question);
    read_letters(model, rows, questions);  // what is measured is read by any judge
    if (planned.answer_tokens > 0) write_answers(planned, model, rows, questions);
  }

  void read_letters(const ShapeDecoder& model, Index rows, Index questions) {
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const ShapeVar x = tape.leaf(rows, model.settings.block.hidden_size);
    const std::vector<Index> one{rows};
    log_probability_shapes(tape, model, x, PrefixTree::from_lengths(one), questions, 8 * questions, {});
    plan_.phases.push_back({"judge", {{"activations", meter.peak()}}});
  }

  /// Each question is the end of a branch, and where branches part the tokens of a page that is not full are held
  /// again: at most two pages for each of at most two segments a question.
  void write_answers(const PlannedJudge& planned, const ShapeDecoder& model, Index rows, Index questions) {
    const Index page = KvCacheShape{}.page_tokens;
    const auto pages = [page](Index tokens) { return (tokens + page - 1) / page; };
    const Index read = pages(rows) + 4 * questions;
    const std::vector<Index> one{rows};
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const ShapeVar x = tape.leaf(rows, model.settings.block.hidden_size);
    write("judge", model,
          {.tree = PrefixTree::from_lengths(one),
           .sequences = questions,
           .pages_read = read,
           .pages_written = read + questions * pages(planned.answer_tokens - 1),
           .packed = planned.weights == WeightFormat::float32
                         ? packed_for(model, questions, GenerateSettings{}.packed_bytes)
                         : 0,
           .kept = meter.in_use(),
           .written = ": answers"},
          {});
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
