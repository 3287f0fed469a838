/// Teaches a text-only judge to answer, and to abstain, from captions of the example world.
///
///     train_judge --tokenizer build/world/tokenizer.json --out build/judge --seed 1
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/autograd/log_probability.hpp"
#include "caprl/core/progress.hpp"
#include "caprl/judge/judge_tokens.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/train/run.hpp"
#include "support/program.hpp"
#include "support/tiny_sizes.hpp"
#include "world/judge_corpus.hpp"

using namespace caprl;

namespace {

struct Options {
  std::filesystem::path tokenizer;
  std::filesystem::path out;
  Index steps = 6000;
  Index groups = 32;
  Index width = 128;
  Index heads = 4;
  Index layers = 4;
  double learning_rate = 2e-3;
  std::uint64_t seed = 1;
  bool bf16_weights = false;
};

/// Prompts of many captions as one tree, and for each the letter that should follow.
struct JudgeBatch {
  SharedBatch shared;
  std::vector<Index> sources;
  std::vector<HeadPair> pairs;
  Index abstentions = 0;
};

/// Groups [first, first + count) of the corpus, each question with its options in a random order.
JudgeBatch make_batch(const JudgeTokens& tokens, std::uint64_t seed, std::uint32_t first, Index count) {
  JudgeBatch batch;
  PrefixTreeBuilder builder;
  std::vector<std::vector<TokenKey>> sequences;
  std::vector<Token> targets;
  for (Index g = 0; g < count; ++g) {
    const auto number = first + static_cast<std::uint32_t>(g);
    const world::JudgeGroup group = world::draw_judge_group(seed, number);
    RandomStream random({.seed = seed, .purpose = Purpose::option_order, .item = number});
    for (const world::JudgeSample& sample : group.samples) {
      OptionOrder order(sample.question.options.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Index>(i);
      random.shuffle(order);
      char letter = option_letter(static_cast<Index>(order.size()));
      if (sample.answer) {
        const auto position = std::ranges::find(order, Index{*sample.answer}) - order.begin();
        letter = option_letter(position);
      } else {
        ++batch.abstentions;
      }
      std::vector<TokenKey> sequence;
      for (const Token token : tokens.before_question(group.caption, sample.question)) sequence.push_back({token, 0});
      for (const Token token : tokens.question_tokens(sample.question, order)) sequence.push_back({token, 0});
      builder.add(sequence);
      sequences.push_back(std::move(sequence));
      targets.push_back(tokens.letter(letter).front());
    }
  }
  batch.shared = builder.build();
  for (const SharedBatch::Source& source : batch.shared.sources) {
    batch.sources.push_back(
        sequences[static_cast<std::size_t>(source.sequence)][static_cast<std::size_t>(source.position)].id);
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    batch.pairs.push_back({batch.shared.row(static_cast<Index>(i), batch.shared.lengths[i] - 1), targets[i]});
  }
  return batch;
}

Var<float> letter_log_probabilities(const Decoder<float>& model, const JudgeBatch& batch) {
  const auto hidden = model(embed(model.embedding, Var<float>(), batch.sources), batch.shared.tree);
  return token_log_probabilities(hidden, model.head, batch.pairs, 1.0);
}

/// The mean probability of the right letter over groups that are not trained on.
double held_out_probability(const Decoder<float>& model, const JudgeTokens& tokens) {
  const NoGradient silent;
  double sum = 0;
  Index count = 0;
  for (std::uint32_t part = 0; part < 8; ++part) {
    const auto values = letter_log_probabilities(model, make_batch(tokens, 0x7E57, 64 * part, 64));
    for (const float value : values.value().span()) sum += std::exp(static_cast<double>(value));
    count += values.value().elements();
  }
  return sum / static_cast<double>(count);
}

void run(const Options& options) {
  const Tokenizer tokenizer = Tokenizer::from_file(options.tokenizer);
  const JudgeTokens tokens(tokenizer, QuestionPrompt::brief());
  const Decoder<float> model({.block = examples::block_settings(options.width, options.heads),
                              .layers = options.layers,
                              .vocabulary_size = tokenizer.vocabulary_size(),
                              .maximum_positions = 2048});
  initialize(model, options.seed);
  RunSettings settings;
  settings.folder = options.out / "run";
  settings.steps = options.steps;
  settings.checkpoint_every = 500;
  settings.optimizer = {.beta2 = 0.95, .weight_decay = 0.05};
  settings.learning_rate = {
      .peak = options.learning_rate, .warmup_steps = 200, .decay_steps = options.steps, .final_share = 0.05};
  settings.recorded = {{"steps", options.steps},
                       {"groups", options.groups},
                       {"width", options.width},
                       {"layers", options.layers},
                       {"learning_rate", options.learning_rate},
                       {"seed", options.seed}};
  std::filesystem::create_directories(settings.folder);

  const InterruptScope ctrl_c;
  TrainingRun<float> run(settings, named_blocks<float>(model));
  Progress progress("teaching the judge", run.steps(), run.step());
  while (run.going()) {
    StopWatch watch;
    const auto first = static_cast<std::uint32_t>(run.step() * options.groups);
    const JudgeBatch batch = make_batch(tokens, options.seed, first, options.groups);
    Tape tape;
    const auto log_probabilities = letter_log_probabilities(model, batch);
    const auto count = static_cast<double>(batch.pairs.size());
    double loss = 0;
    double probability = 0;
    for (const float value : log_probabilities.value().span()) {
      loss -= static_cast<double>(value) / count;
      probability += std::exp(static_cast<double>(value)) / count;
    }
    log_probabilities.seed_gradient(Tensor<float>::full(log_probabilities.shape(), static_cast<float>(-1.0 / count)));
    tape.backward();
    MetricsRow metrics(run.step());
    metrics.add("loss", loss).add("probability", probability).add("gradient_norm", run.update());
    if ((run.step() + 1) % 500 == 0) {
      const double held_out = held_out_probability(model, tokens);
      metrics.add("held_out_probability", held_out);
      std::printf("step %ld: probability of the right letter, held out: %.4f\n", static_cast<long>(run.step() + 1),
                  held_out);
      std::fflush(stdout);
    }
    const double seconds = watch.lap();
    run.finish_step(metrics, MetricsRow(run.step()).add("seconds.step", seconds));
    progress.update(run.step(), {{"loss", loss, 3},
                                 {"probability", probability, 3},
                                 {"tokens/s", static_cast<double>(batch.shared.tree.rows()) / seconds, 0}});
  }
  if (interrupted()) return;
  save_language_model(model, options.tokenizer, options.out / "model",
                      options.bf16_weights ? WeightFormat::bf16 : WeightFormat::float32);
  std::printf("saved %s\n", (options.out / "model").c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Teaches a text-only judge to answer, and to abstain, from captions of the example world.");
  app.add_option("--tokenizer", options.tokenizer, "tokenizer.json")->required()->check(CLI::ExistingFile);
  app.add_option("--out", options.out, "Folder for the run and the judge")->required();
  app.add_option("--steps", options.steps, "Optimizer steps")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--groups", options.groups, "Captions a step, each with its questions")->capture_default_str();
  app.add_option("--width", options.width, "Features")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--heads", options.heads, "Attention heads")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--layers", options.layers, "Transformer blocks")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--learning-rate", options.learning_rate, "Peak learning rate")->capture_default_str();
  app.add_option("--seed", options.seed, "Of the weights and the corpus")->capture_default_str();
  app.add_flag("--bf16", options.bf16_weights, "Save the weights as bf16");
  examples::add_threads_option(app);
  return examples::run_program(argc, argv, app, [&] { run(options); });
}
