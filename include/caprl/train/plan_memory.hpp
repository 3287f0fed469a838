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
#include "caprl/train/batch_shape.hpp"
#include "caprl/train/memory_plan.hpp"
#include "caprl/train/model_shapes.hpp"
#include "caprl/train/plan_writing.hpp"
#include "caprl/train/planned_run.hpp"

namespace caprl {

namespace detail {

template <class T, class Device>
Index bytes_of(const std::vector<Parameter<T, Device>>& parameters) {
  Index bytes = 0;
  for (const auto& parameter : parameters) bytes += bytes_of_numbers(parameter.shape().elements());
  return bytes;
}

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
    hold("pictures", pixels(largest(run.batch_items)) + pixels(largest(run.validation_items)) +
                         pixels(largest(std::min(run.test_items, run.measured_at_once()))));
  }

  MemoryPlan plan() {
    caption("rollout", {largest(run_.captioned_at_once()), run_.samples, run_.maximum_tokens});
    if (run_.judge) judge(*run_.judge);
    update(largest_micro_batch(run_.samples, run_.batch_items));
    if (run_.measured_at_once() > 0) {
      caption("validation", {largest(run_.measured_at_once()), 1, run_.maximum_tokens});
      if (run_.reference) compare_with_reference(largest_micro_batch(1, run_.measured_at_once()));
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

  /// `generate` of a policy: pictures are seen, then prompts read at once, then captions written token by token.
  void caption(const std::string& name, const BatchShape& batch) {
    const Index page = KvCacheShape{}.page_tokens;
    const PrefixTree tree = BatchShape{batch.prompts}.tree();
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const InputShapes input = embedded(tape, batch, tree.rows());
    const auto [reading, writing] =
        phases_of_writing(name, model_.language,
                          {.tree = tree,
                           .sequences = batch.captions(),
                           .pages_read = batch.prompt_pages(page),
                           .pages_written = batch.pages(page),
                           .packed = packed_for(model_.language, batch.captions(), run_.packed_bytes),
                           .kept = meter.in_use()},
                          input.of_layers);
    if (meter.peak() > reading.bytes()) {
      plan_.phases.push_back({name + ": pictures", {{"activations", meter.peak()}}});
    }
    plan_.phases.push_back(reading);
    plan_.phases.push_back(writing);
  }

  /// `QuestionReader`: a full pass, in which each question takes some rows, or one prompt that is longer.
  void judge(const PlannedJudge& planned) {
    constexpr Index fewest_rows_of_question = 16;
    const ShapeDecoder model(planned.model);
    const Index rows = std::max(planned.maximum_rows, run_.maximum_tokens + planned.prompt_tokens);
    const Index questions = std::max<Index>(1, rows / fewest_rows_of_question);
    read_letters(model, rows, questions);  // what is measured is read by any judge
    if (planned.answer_tokens == 0) return;
    const Index asked = run_.batch_items * run_.samples * planned.draws;
    write_answers(planned, model, rows, asked > 0 ? std::min(questions, asked) : questions);
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
    const Index packed =
        planned.weights == WeightFormat::float32 ? packed_for(model, questions, GenerateSettings{}.packed_bytes) : 0;
    const auto [reading, writing] =
        phases_of_writing("judge", model,
                          {.tree = PrefixTree::from_lengths(one),
                           .sequences = questions,
                           .pages_read = read,
                           .pages_written = read + questions * pages(planned.answer_tokens - 1),
                           .packed = packed,
                           .kept = meter.in_use(),
                           .written = ": answers"},
                          {});
    plan_.phases.push_back(reading);
    plan_.phases.push_back(writing);
  }

  /// Of at most so many prompts with so many captions each. Where captions may be short, more prompts stand in a
  /// micro-batch: the length with the most rows.
  BatchShape largest_micro_batch(Index samples, Index most_prompts) const {
    const Index shortest = run_.shortest_caption > 0 ? run_.shortest_caption : run_.maximum_tokens / 4;
    const Index prompt = largest(1).front().tokens;
    const auto groups_of = [&](Index tokens) {
      return std::clamp<Index>(run_.micro_tokens / (samples * tokens), 1, most_prompts);
    };
    const auto rows_of = [&](Index tokens) { return groups_of(tokens) * (prompt + samples * (tokens - 1)); };
    Index worst = run_.maximum_tokens;
    for (Index tokens = std::max<Index>(1, shortest); tokens < run_.maximum_tokens; ++tokens) {
      if (rows_of(tokens) > rows_of(worst)) worst = tokens;
    }
    return {largest(groups_of(worst)), samples, worst};
  }

  /// `policy_kl` of captions of held-out items.
  void compare_with_reference(const BatchShape& batch) {
    MemoryMeter meter;
    ShapeTape tape(meter, false);
    const ShapeVar log_probabilities = log_probability_shapes_of(tape, meter, batch);
    plan_.phases.push_back({"validation: divergence", {{"activations", meter.peak()}}});
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
