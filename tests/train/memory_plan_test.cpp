#include "caprl/train/plan_memory.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "caprl/evaluate/policy_kl.hpp"
#include "caprl/io/available_memory.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/judge/judge_prompts.hpp"
#include "caprl/judge/sampled_judge.hpp"
#include "caprl/optim/adamw.hpp"
#include "caprl/policy/qwen_vl_policy.hpp"
#include "caprl/train/batch_shape.hpp"
#include "caprl/train/memory_fit.hpp"
#include "caprl/train/plan_writing.hpp"
#include "support/error_message.hpp"
#include "support/small_qwen.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_world.hpp"

using namespace caprl;
using namespace caprl::test;

namespace {

/// Writes distinct captions that never end.
struct Endless {
  Token operator()(std::span<float>, std::span<const Token>, const RandomKey& key) const {
    return 100 + static_cast<Token>((key.item * 31 + key.sample * 7 + key.position) % 100);
  }
  double temperature() const { return 1; }
  bool filters() const { return false; }
};

/// Larger than the models of other tests, so that numbers outweigh the rounding of blocks.
DecoderSettings larger_decoder(DecoderSettings settings) {
  settings.block.hidden_size = 96;
  settings.block.intermediate_size = 256;
  settings.block.attention_heads = 6;
  settings.block.head_size = 16;
  settings.layers = 3;
  if (!settings.rotary.sections.empty()) settings.rotary.sections = {4, 2, 2};
  return settings;
}
BlockSettings larger_block(BlockSettings block) {
  block.hidden_size = 64;
  block.intermediate_size = 144;
  block.attention_heads = block.key_value_heads = 4;
  block.head_size = 16;
  return block;
}

TinyVlmSettings larger_settings(const TinyVlm<float>& model) {
  TinyVlmSettings settings = model.settings;
  settings.language = larger_decoder(settings.language);
  settings.vision.block = larger_block(settings.vision.block);
  settings.vision.layers = 3;
  settings.vision.image_size = 32;
  settings.vision.output_size = settings.language.block.hidden_size;
  return settings;
}
template <class Settings>
Settings larger_qwen(Settings settings) {
  settings.language = larger_decoder(settings.language);
  settings.vision.block = larger_block(settings.vision.block);
  settings.vision.layers = 3;
  settings.vision.output_size = settings.language.block.hidden_size;
  settings.preprocessing.images.budget = {64, 16384};
  return settings;
}
Qwen25VlSettings larger_settings(const Qwen25Vl<float>& model) { return larger_qwen(model.settings); }
Qwen3VlSettings larger_settings(const Qwen3Vl<float>& model) { return larger_qwen(model.settings); }

template <class Settings, class Model>
struct Subject {
  Tokenizer tokenizer = small_tokenizer();
  Settings settings;

  explicit Subject(const Model& small) : settings(larger_settings(small)) {}
  Model model() const {
    const Model made(settings);
    initialize<float>(made, settings.language.layers, 1, ends_residual_branch);
    return made;
  }
};
using TinySubject = Subject<TinyVlmSettings, TinyVlm<float>>;
using Qwen25Subject = Subject<Qwen25VlSettings, Qwen25Vl<float>>;
using Qwen3Subject = Subject<Qwen3VlSettings, Qwen3Vl<float>>;
TinySubject tiny_subject() { return TinySubject(small_vlm(small_tokenizer())); }
Qwen25Subject qwen25_subject() { return Qwen25Subject(small_qwen25_vl(small_tokenizer())); }
Qwen3Subject qwen3_subject() { return Qwen3Subject(small_qwen3_vl(small_tokenizer())); }

Index in_use() { return CpuAllocator::instance().counters().in_use; }

/// The most that is in use while `body` runs, beyond what is before.
template <class Body>
Index peak_of(const Body& body) {
  const Index before = in_use();
  CpuAllocator::instance().reset_peak();
  body();
  return CpuAllocator::instance().counters().peak - before;
}

/// What the allocator counts for the parts of two steps of a run.
struct Measured {
  Index weights = 0, gradients = 0, optimizer = 0, pictures = 0;
  Index rollout = 0, update = 0;
  Index peak = 0;
};

template <class P>
std::vector<VlmPrompt> encode_items(const P& policy, Index count) {
  std::vector<VlmPrompt> prompts;
  for (Index i = 0; i < count; ++i) {
    const std::vector<Clip> media{clip_of(noise_image(static_cast<std::uint32_t>(i), 64))};
    CaptionItem item = image_item();
    item.system = std::to_string(i);  // prompts share little
    prompts.push_back(policy.encode(item, media));
  }
  return prompts;
}

/// One pass over a batch's micro-batches, as `add_policy_gradients` makes it.
template <class P>
void add_gradients(const P& policy, std::span<const VlmPrompt> prompts, std::span<const RolloutGroup> groups,
                   Index micro_tokens) {
  for (std::size_t begin = 0, end = 0; begin < groups.size(); begin = end) {
    end = micro_batch_end(groups, begin, micro_tokens);
    Tape tape;
    const auto numbers =
        policy.log_probabilities(prompts.subspan(begin, end - begin), groups.subspan(begin, end - begin), 1.0);
    numbers.seed_gradient(Tensor<float>::full(numbers.shape(), 1));
    tape.backward();
  }
}

template <class Model, class S>
Measured measure(const S& subject, PlannedRun& run) {
  Measured measured;
  const Index start = in_use();
  CpuAllocator::instance().reset_peak();
  const Model model = subject.model();
  if (run.lora) add_lora<float>(model, *run.lora, 1);
  const VlmPolicy<Model, float> policy(model, subject.tokenizer,
                                       {.maximum_rows = run.maximum_rows, .recompute_blocks = run.recompute_blocks});
  measured.weights = in_use() - start;

  const auto trained = apply_groups(run.groups, policy.blocks());
  AdamWOptimizer<float> optimizer(trained.parameters, {});
  measured.optimizer = in_use() - start - measured.weights;
  const auto prompts = encode_items(policy, run.batch_items);
  measured.pictures = in_use() - start - measured.weights - measured.optimizer;
  run.prompts = {prompt_shape(prompts.front())};
  optimizer.gradient_norm();
  measured.gradients = in_use() - start - measured.weights - measured.optimizer - measured.pictures;

  std::vector<RolloutGroup> groups;
  Index peak = 0;
  for (int step = 0; step < 2; ++step) {
    measured.rollout = peak_of([&] {
      groups = policy.generate(prompts, Endless{},
                               {.samples = run.samples, .maximum_tokens = run.maximum_tokens, .item_keys = {}});
    });
    measured.update = peak_of([&] { add_gradients(policy, prompts, groups, run.micro_tokens); });
    peak = in_use() - start + std::max(measured.rollout, measured.update);
    optimizer.step(1e-4);
  }
  measured.peak = peak;
  return measured;
}

Index line(const MemoryPlan& plan, const std::string& name) {
  for (const MemoryLine& held : plan.held.lines) {
    if (held.name == name) return held.bytes;
  }
  return 0;
}

/// The largest of the phases whose names begin so.
Index phase(const MemoryPlan& plan, const std::string& name) {
  Index bytes = 0;
  for (const MemoryPhase& one : plan.phases) {
    if (one.name.starts_with(name)) bytes = std::max(bytes, one.bytes());
  }
  return bytes;
}

/// Within 1 % of what was measured.
void check_near(Index predicted, Index measured) {
  CAPTURE(predicted);
  CAPTURE(measured);
  const double share = static_cast<double>(predicted) / static_cast<double>(measured);
  CHECK(share > 0.99);
  CHECK(share < 1.01);
}

PlannedRun small_run() {
  PlannedRun run;
  run.batch_items = 4;
  run.samples = 6;
  run.maximum_tokens = 40;
  run.micro_tokens = 480;
  run.shortest_caption = 40;
  return run;
}

template <class Model, template <class, class> class Template, class S>
void check_plan(const S& subject, PlannedRun run) {
  const Measured measured = measure<Model>(subject, run);
  const MemoryPlan plan = plan_memory<Template>(subject.settings, run);
  CHECK(line(plan, "weights") == measured.weights);
  CHECK(line(plan, "gradients") == measured.gradients);
  CHECK(line(plan, "optimizer") == measured.optimizer);
  CHECK(line(plan, "pictures") == measured.pictures);
  INFO("rollout");
  check_near(phase(plan, "rollout"), measured.rollout);
  INFO("update");
  check_near(phase(plan, "update"), measured.update);
  INFO("peak");
  check_near(plan.peak(), measured.peak);
}

void check_all(const auto& check) {
  SUBCASE("all weights") { check(small_run()); }
  SUBCASE("blocks computed again") {
    PlannedRun run = small_run();
    run.recompute_blocks = true;
    check(run);
  }
  SUBCASE("adapters") {
    PlannedRun run = small_run();
    run.lora = LoraSettings{.rank = 4, .targets = std::vector<std::string>{"q_proj", "down_proj"}};
    check(run);
  }
  SUBCASE("a frozen tower") {
    PlannedRun run = small_run();
    run.groups = {{"visual", 0}};
    check(run);
  }
  SUBCASE("by subtrees") {
    PlannedRun run = small_run();
    run.maximum_rows = 100;
    check(run);
  }
}

}  // namespace

TEST_CASE("the plan of a tiny VLM's run is what the allocator counts") {
  check_all([](const PlannedRun& run) { check_plan<TinyVlm<float>, TinyVlm>(tiny_subject(), run); });
}

TEST_CASE("the plan of Qwen2.5-VL's run is what the allocator counts") {
  check_all([](const PlannedRun& run) { check_plan<Qwen25Vl<float>, Qwen25Vl>(qwen25_subject(), run); });
}

TEST_CASE("the plan of Qwen3-VL's run is what the allocator counts") {
  check_all([](const PlannedRun& run) { check_plan<Qwen3Vl<float>, Qwen3Vl>(qwen3_subject(), run); });
}

TEST_CASE("attention alone takes what is planned, to the byte") {
  const TreeAttentionOptions options{.query_heads = 6, .key_heads = 2, .head_size = 20, .scale = 1};
  const std::vector<Index> parents{-1, 0, 0}, lengths{700, 90, 300};
  const PrefixTree tree = PrefixTree::from_segments(parents, lengths);
  const Index columns = 10 * 20;
  const Index measured = peak_of([&] {
    Tape tape;
    const Var<float> qkv(Tensor<float>::full({tree.rows(), columns}, 0.1f), true);
    const auto out = tree_attention(qkv, tree, options);
    out.seed_gradient(Tensor<float>::full(out.shape(), 1));
    tape.backward();
  });
  MemoryMeter meter;
  ShapeTape tape(meter, true);
  const ShapeVar qkv = tape.leaf(tree.rows(), columns, true);
  tape.seed_gradient(tape.tree_attention(qkv, AttentionRows::of(tree, 0, true), options));
  tape.backward();
  const Index scratch = CpuAllocator::size_class(1 << 20);  // of the threads
  CHECK(meter.peak() >= measured);
  CHECK(meter.peak() < measured + scratch);
}

TEST_CASE("the cache of captions takes what is planned, to a chunk of its pages") {
  const DecoderSettings settings = larger_decoder(small_decoder_settings(small_tokenizer()));
  const KvCacheShape shape{
      .layers = settings.layers, .key_heads = settings.block.key_value_heads, .head_size = settings.block.head_size};
  const detail::BatchShape batch{std::vector<PromptShape>(3, {.tokens = 75}), 8, 101};
  const Index before = in_use();
  KvCache<float> cache(shape);
  const CachePrefill prefill = cache.prefill(detail::BatchShape{batch.prompts}.tree());
  const Index chunk = detail::cache_bytes(settings, 1);
  const Index prompts = detail::cache_bytes(settings, batch.prompt_pages(shape.page_tokens));
  CHECK(prompts >= in_use() - before);
  CHECK(prompts <= in_use() - before + chunk);
  std::vector<SequenceId> live;
  for (std::size_t p = 1; p < prefill.sequences.size(); ++p) {
    for (const SequenceId id : cache.fork(prefill.sequences[p], batch.samples)) live.push_back(id);
  }
  for (const SequenceId id : prefill.sequences) cache.release(id);
  for (Index token = 0; token < batch.caption_rows(); ++token) cache.append(live);
  const Index captions = detail::cache_bytes(settings, batch.pages(shape.page_tokens));
  CHECK(captions > prompts);
  CHECK(captions >= in_use() - before);
  CHECK(captions <= in_use() - before + chunk);
}

namespace {

struct JudgeSubject {
  Tokenizer tokenizer = small_tokenizer();
  DecoderSettings settings = larger_decoder(small_decoder_settings(tokenizer));
  Decoder<float> model{settings};
};
JudgeSubject judge_subject() {
  JudgeSubject subject;
  initialize<float>(subject.model, subject.settings.layers, 1, ends_residual_branch);
  return subject;
}

/// With questions that have nothing in common.
CaptionItem item_of_questions(int count) {
  CaptionItem item = image_item();
  for (int q = 0; q < count; ++q) {
    item.questions.push_back(
        {.text = std::to_string(q) + " is the number of what ?", .options = {"red", "blue", "green"}, .gold = 0});
  }
  return item;
}

}  // namespace

TEST_CASE("a judge's pass of so many rows takes what is planned") {
  const auto [tokenizer, settings, model] = judge_subject();
  const CaptionItem item = item_of_questions(40);
  const std::vector<Caption> captions{{.text = "a red circle is at the top .", .tokens = 9, .truncated = false}};
  const std::vector<JudgeRequest> requests{{&item, captions}};
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 50}};
  const Index start = in_use();
  const Decoder<float> copy = rounded_to_bf16(model);
  const Index model_bytes = in_use() - start;
  for (const WeightFormat weights : {WeightFormat::float32, WeightFormat::bf16}) {
    JudgeTally tally;
    const Index before = in_use();
    const ExactJudge<float> judge(
        model, tokenizer, {.prompt = QuestionPrompt::brief(), .maximum_rows = 1 << 20, .weights = weights}, &tally);
    const Index own_weights = in_use() - before;
    const Index measured = peak_of([&] { judge.score(requests); });
    run.judge = PlannedJudge{.model = settings, .maximum_rows = tally.read, .weights = weights};
    const MemoryPlan plan = plan_memory<TinyVlm>(tiny_subject().settings, run);
    CHECK(line(plan, "judge weights") == model_bytes + own_weights);
    CHECK(phase(plan, "judge") >= measured);
    CHECK(phase(plan, "judge") < measured * 21 / 20);
  }
}

TEST_CASE("a judge that writes its answers takes no more than is planned") {
  const auto [tokenizer, settings, model] = judge_subject();
  const CaptionItem item = item_of_questions(1000);
  std::vector<Caption> captions;
  for (int c = 0; c < 40; ++c) {
    captions.push_back({.text = std::to_string(c) + " is red .", .tokens = 7, .truncated = false});
  }
  const std::vector<JudgeRequest> requests{{&item, captions}};
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 50}};
  for (const WeightFormat weights : {WeightFormat::float32, WeightFormat::bf16}) {
    SampledJudgeSettings sampled = SampledJudgeSettings::published();
    sampled.prompt = QuestionPrompt::brief();
    sampled.maximum_rows = 1024;  // captions fill several passes
    sampled.weights = weights;
    run.judge = PlannedJudge{.model = settings, .maximum_rows = sampled.maximum_rows, .weights = weights};
    for (const Index tokens : {1, 120}) {
      run.judge->answer_tokens = sampled.answer_tokens = tokens;
      const SampledJudge<float> judge(model, tokenizer, sampled);
      const Index measured = peak_of([&] { judge.score(requests); });
      const MemoryPlan plan = plan_memory<TinyVlm>(tiny_subject().settings, run);
      const Index planned = phase(plan, "judge: ");  // what is read, and what is written
      CAPTURE(tokens);
      CHECK(planned >= measured);
      CHECK(planned < measured * 7 / 4);  // where branches part in their pages is not known before
    }
    const auto of_answers = [&](Index tokens) {
      run.judge->answer_tokens = tokens;
      return phase(plan_memory<TinyVlm>(tiny_subject().settings, run), "judge: answers");
    };
    const Index questions = sampled.maximum_rows / 16;
    const Index grown = of_answers(161) - of_answers(1);  // by ten pages a question, but for a chunk
    CHECK(grown <= detail::cache_bytes(settings, 10 * questions) + detail::cache_bytes(settings, 1));
    CHECK(grown >= detail::cache_bytes(settings, 10 * questions) - detail::cache_bytes(settings, 1));
  }
}

TEST_CASE("what is measured on held-out items takes what is planned") {
  const auto subject = tiny_subject();
  PlannedRun run = small_run();
  run.validation_items = 12;
  run.rollout_items = 6;
  run.reference = true;
  run.micro_tokens = 1 << 14;
  run.shortest_caption = run.maximum_tokens;
  const TinyVlmPolicy<> policy(subject.model(), subject.tokenizer);
  const auto prompts = encode_items(policy, run.rollout_items);
  run.prompts = {prompt_shape(prompts.front())};
  std::vector<RolloutGroup> groups;
  const Index captioning = peak_of([&] {
    groups = policy.generate(prompts, Endless{}, {.samples = 1, .maximum_tokens = run.maximum_tokens, .item_keys = {}});
  });
  const Index divergence = peak_of([&] { policy_kl(policy, prompts, groups, 1.0, run.micro_tokens); });
  const auto planned = [&] { return plan_memory(policy, run); };
  check_near(phase(planned(), "validation: divergence"), divergence);
  run.micro_tokens = 2 * run.maximum_tokens;  // of two captions at once
  const Index by_two = peak_of([&] { policy_kl(policy, prompts, groups, 1.0, run.micro_tokens); });
  CHECK(by_two < divergence * 2 / 3);
  check_near(phase(planned(), "validation: divergence"), by_two);
  run.reference = false;  // captioning is all
  const Index chunk = detail::cache_bytes(subject.settings.language, 1);
  CHECK(phase(planned(), "validation") >= captioning);
  CHECK(phase(planned(), "validation") <= captioning + chunk);
}

TEST_CASE("a run that does not fit for its held-out items is told how many at once would") {
  const auto subject = tiny_subject();
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 60}};
  run.batch_items = 1;
  run.validation_items = 64;
  const auto plan_of = [&](const PlannedRun& other) { return plan_memory<TinyVlm>(subject.settings, other); };
  REQUIRE(plan_of(run).largest().name.starts_with("validation"));
  const std::string refused = testing::error_message([&] { require_fits(run, plan_of, plan_of(run).peak() - 1); });
  CHECK(refused.find("it fits with rollout_items 32 (") != std::string::npos);
}

TEST_CASE("pictures of items that are validated on are held, of those tested on as many as are captioned at once") {
  const auto subject = tiny_subject();
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 60, .pictures = {{1, 8, 8}}}};
  run.batch_items = 1;
  const auto pictures = [&](Index validation, Index test, Index at_once) {
    run.validation_items = validation;
    run.test_items = test;
    run.rollout_items = at_once;
    return line(plan_memory<TinyVlm>(subject.settings, run), "pictures");
  };
  const Index one = pictures(0, 0, 0);
  CHECK(pictures(5, 0, 2) == 6 * one);
  CHECK(pictures(5, 7, 3) == 9 * one);
  CHECK(pictures(5, 2, 3) == 8 * one);
  CHECK(pictures(0, 100, 0) == (1 + CaptionSettings{}.batch_items) * one);
}

TEST_CASE("answers are planned for no more questions than are drawn") {
  const auto [tokenizer, settings, model] = judge_subject();
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 50}};
  const auto planned = [&](Index draws) {
    run.judge = PlannedJudge{.model = settings, .maximum_rows = 2048, .draws = draws, .answer_tokens = 120};
    return phase(plan_memory<TinyVlm>(tiny_subject().settings, run), "judge: answers");
  };
  CHECK(planned(1) < planned(0) / 2);  // of 4 items' 6 captions, where a pass has room for 128 questions
  CHECK(planned(2) > planned(1));
  CHECK(planned(100) == planned(0));
}

TEST_CASE("a judge's pass is planned for a prompt that is longer than a pass") {
  const auto [tokenizer, settings, model] = judge_subject();
  const JudgeTokens tokens(tokenizer, QuestionPrompt::brief());
  const CaptionItem item = item_of_questions(12);
  const Index around = judge_prompt_tokens(tokens, {&item, 1}, 1);
  CHECK(around > judge_prompt_tokens(tokens, {}, 1));
  const std::string caption = "a red circle is at the top .";
  JudgePrompts prompts(tokens);
  prompts.ask(prompts.add_caption(caption), prompts.add_question(item.questions.back(), {0, 1, 2}));
  CHECK(around >= std::ssize(prompts.tokens(prompts.asks()[0])) - std::ssize(tokenizer.encode(caption)));
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 50}};
  const auto planned = [&](Index rows, Index prompt) {
    run.judge = PlannedJudge{.model = settings, .maximum_rows = rows, .prompt_tokens = prompt};
    return phase(plan_memory<TinyVlm>(tiny_subject().settings, run), "judge");
  };
  CHECK(planned(run.maximum_tokens, 100) == planned(run.maximum_tokens + 100, 0));
  CHECK(planned(run.maximum_tokens + 100, 100) == planned(run.maximum_tokens + 100, 0));
}

TEST_CASE("a run that will not fit is refused with the settings that would") {
  const auto subject = tiny_subject();
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 60, .pictures = {{1, 8, 8}}}};
  run.batch_items = 64;
  run.micro_tokens = 1 << 14;
  const auto plan_of = [&](const PlannedRun& other) { return plan_memory<TinyVlm>(subject.settings, other); };
  const MemoryPlan plan = plan_of(run);
  CHECK(require_fits(run, plan_of, plan.peak()).peak() == plan.peak());

  const auto refusal = [&](Index available) {
    return testing::error_message([&] { require_fits(run, plan_of, available); });
  };
  const std::string little = refusal(plan.peak() - 1);
  CHECK(little.find("gradients") != std::string::npos);  // the table
  CHECK(little.find("it fits with recompute_blocks (") != std::string::npos);
  CHECK(little.find("or with micro_tokens 8192 (") != std::string::npos);

  CHECK(refusal(1000).find("make it fit: take fewer samples") != std::string::npos);

  for (Index share = 98; share > 10; share -= 2) {
    const Index available = plan.peak() * share / 100;
    std::set<std::string> told;
    const auto found = detail::FitSearch(run, plan_of, available).found();
    PlannedRun slowest = run;  // learns the same
    slowest.recompute_blocks = true;
    slowest.micro_tokens = 8;
    slowest.rollout_items = 1;
    const auto learns_the_same = [&](const PlannedRun& other) {
      return other.batch_items == run.batch_items && !other.lora;
    };
    CAPTURE(share);
    CHECK(std::ranges::any_of(found, learns_the_same) == (plan_of(slowest).peak() <= available));
    for (const PlannedRun& smaller : found) {
      CAPTURE(detail::changes_text(run, smaller));
      CHECK(plan_of(smaller).peak() <= available);
      CHECK(told.insert(detail::changes_text(run, smaller)).second);
    }
  }
}

TEST_CASE("settings with which a run learns the same are tried together before fewer items are offered") {
  const auto subject = tiny_subject();
  const auto plan_of = [&](const PlannedRun& other) { return plan_memory<TinyVlm>(subject.settings, other); };
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 60}};
  run.batch_items = 64;
  run.micro_tokens = 1 << 14;
  PlannedRun of_one = run;
  of_one.batch_items = 1;  // captioning and updating need less, as they do with rollout_items and micro_tokens
  const auto found = detail::FitSearch(run, plan_of, plan_of(of_one).peak()).found();
  REQUIRE(found.size() >= 2);
  CHECK(found[0].batch_items == 64);
  CHECK(found[0].rollout_items > 0);
  CHECK(found[0].micro_tokens < run.micro_tokens);
  CHECK(!found[0].lora);
  CHECK(found[1].batch_items == 1);
}

TEST_CASE("settings that are not enough alone are tried together, and only those that are needed are named") {
  const auto subject = tiny_subject();
  const auto plan_of = [&](const PlannedRun& other) { return plan_memory<TinyVlm>(subject.settings, other); };
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 20}};
  run.batch_items = 64;
  run.samples = 2;
  run.maximum_tokens = run.shortest_caption = 8;
  const Index available = plan_of(run).held.bytes() * 9 / 10;  // weights, gradients and averages are too much
  const auto found = detail::FitSearch(run, plan_of, available).found();
  REQUIRE(found.size() == 1);
  CHECK(plan_of(found[0]).peak() <= available);
  CHECK(found[0].lora.has_value());
  CHECK(found[0].batch_items == 64);  // as long as what changes nothing that is learnt is enough
  CHECK(found[0].rollout_items > 0);
  CHECK(found[0].maximum_rows == 0);
  PlannedRun more = found[0];
  more.rollout_items *= 2;
  CHECK(plan_of(more).peak() > available);
}

TEST_CASE("short captions, and the largest of the prompts, are planned for") {
  const auto subject = tiny_subject();
  PlannedRun run = small_run();
  run.prompts = {{.tokens = 300}};
  const Index long_captions = phase(plan_memory<TinyVlm>(subject.settings, run), "update");
  run.shortest_caption = 10;  // two groups of prompts in a micro-batch become four
  CHECK(phase(plan_memory<TinyVlm>(subject.settings, run), "update") > long_captions * 5 / 4);
  const Index alike = plan_memory<TinyVlm>(subject.settings, run).peak();
  run.prompts = {{.tokens = 20}, {.tokens = 300}};
  CHECK(plan_memory<TinyVlm>(subject.settings, run).peak() < alike);  // half of a batch is short
  run.prompts.assign(8, {.tokens = 20});
  run.prompts.insert(run.prompts.end(), 4, {.tokens = 300});
  CHECK(plan_memory<TinyVlm>(subject.settings, run).peak() == alike);  // as many long ones as a batch has
}

TEST_CASE("a plan is told as a table, with what was measured") {
  const MemoryPlan plan{{"held", {{"weights", 3 << 20}}}, {{"rollout", {{"KV cache", 1 << 20}}}, {"update", {}}}};
  CHECK(plan.peak() == 4 << 20);
  const std::string table = memory_table(plan, MemoryCounters{.peak = 5 << 20, .held = 6 << 20});
  for (const char* part : {"weights  ", "3.0 MiB", "+ rollout", "KV cache 1.0 MiB", "peak: held and rollout", "4.0 MiB",
                           "measured peak", "5.0 MiB", "taken from the system", "6.0 MiB"}) {
    CAPTURE(part);
    CHECK(table.find(part) != std::string::npos);
  }
  CHECK(bytes_text(812) == "812 B");
  CHECK(bytes_text(Index{16} << 30) == "16.0 GiB");
}
