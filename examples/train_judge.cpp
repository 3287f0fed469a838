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
  double clip_share = 0.4;
  std::uint64_t seed = 1;
  bool bf16_weights = false;
};

/// Sequences of many captions as one tree, and the tokens that should follow.
struct JudgeBatch {
  SharedBatch shared;
  std::vector<Index> sources;
  std::vector<HeadPair> pairs;
  Index letters = 0;  ///< the first pairs: one for each question; those after them are answers in words
};

/// Gathers sequences and what is to be predicted in them.
class BatchMaker {
 public:
  /// A sequence, and at which positions its tokens are to be predicted; the last is always one.
  void add(std::span<const Token> tokens, const std::vector<std::size_t>& predicted_positions) {
    const Index sequence = static_cast<Index>(sequences_.size());
    std::vector<TokenKey> keys;
    for (const Token token : tokens.first(tokens.size() - 1)) keys.push_back({token, 0});
    builder_.add(keys);
    sequences_.push_back(std::move(keys));
    for (const std::size_t position : predicted_positions) {
      targets_.push_back({sequence, static_cast<Index>(position), tokens[position]});
    }
  }

  Index targets() const { return static_cast<Index>(targets_.size()); }

  JudgeBatch build(Index letters) const {
    JudgeBatch batch;
    batch.letters = letters;
    batch.shared = builder_.build();
    for (const SharedBatch::Source& source : batch.shared.sources) {
      const auto& sequence = sequences_[static_cast<std::size_t>(source.sequence)];
      batch.sources.push_back(sequence[static_cast<std::size_t>(source.position)].id);
    }
    for (const Target& target : targets_) {
      batch.pairs.push_back({batch.shared.row(target.sequence, target.position - 1), target.token});
    }
    return batch;
  }

 private:
  struct Target {
    Index sequence;
    Index position;
    Token token;
  };
  PrefixTreeBuilder builder_;
  std::vector<std::vector<TokenKey>> sequences_;
  std::vector<Target> targets_;
};

OptionOrder random_order(RandomStream& random, std::size_t options) {
  OptionOrder order(options);
  for (std::size_t i = 0; i < options; ++i) order[i] = static_cast<Index>(i);
  random.shuffle(order);
  return order;
}

/// A question as it is asked, and its letter.
void add_letter(const JudgeTokens& tokens, const std::string& caption, const world::JudgeSample& sample,
                RandomStream& random, BatchMaker& maker) {
  const OptionOrder order = random_order(random, sample.question.options.size());
  const auto position = sample.answer ? std::ranges::find(order, Index{*sample.answer}) - order.begin()
                                      : static_cast<std::ptrdiff_t>(order.size());
  std::vector<Token> sequence = tokens.before_question(caption, sample.question);
  const std::vector<Token> question = tokens.question_tokens(sample.question, order);
  sequence.insert(sequence.end(), question.begin(), question.end());
  sequence.push_back(tokens.letter(option_letter(position)).front());
  maker.add(sequence, {sequence.size() - 1});
}

/// All questions of a caption with their answers in words, one after the other. Never asked of the judge later, but it
/// teaches where in a caption an answer stands, with many targets for few tokens: letters alone hide that for long.
void add_recital(const JudgeTokens& tokens, const world::JudgeGroup& group, BatchMaker& maker) {
  std::vector<Token> sequence = tokens.before_question(group.caption, group.samples.front().question);
  std::vector<std::size_t> predicted;
  const auto append = [&](const std::string& text, bool predict) {
    for (const Token token : tokens.tokenizer().encode(text)) {
      if (predict) predicted.push_back(sequence.size());
      sequence.push_back(token);
    }
  };
  for (const world::JudgeSample& sample : group.samples) {
    append("\n" + sample.question.text, false);
    append(" " + (sample.answer ? sample.question.options[static_cast<std::size_t>(*sample.answer)]
                                : tokens.prompt().abstain),
           true);
  }
  maker.add(sequence, predicted);
}

/// Groups [first, first + count) of the corpus, each question with its options in a random order.
JudgeBatch make_batch(const JudgeTokens& tokens, const world::JudgeCorpusSettings& corpus, std::uint64_t seed,
                      std::uint32_t first, Index count, bool with_recitals) {
  std::vector<world::JudgeGroup> groups;
  BatchMaker maker;
  for (Index g = 0; g < count; ++g) {
    const auto number = first + static_cast<std::uint32_t>(g);
    groups.push_back(world::draw_judge_group(seed, number, corpus));
    RandomStream random({.seed = seed, .purpose = Purpose::option_order, .item = number});
    for (const world::JudgeSample& sample : groups.back().samples) {
      add_letter(tokens, groups.back().caption, sample, random, maker);
    }
  }
  const Index letters = maker.targets();
  for (const world::JudgeGroup& group : groups) {
    if (with_recitals && !group.samples.empty()) add_recital(tokens, group, maker);
  }
  return maker.build(letters);
}

Var<float> target_log_probabilities(const Decoder<float>& model, const JudgeBatch& batch) {
  const auto hidden = model(embed(model.embedding, Var<float>(), batch.sources), batch.shared.tree);
  return token_log_probabilities(hidden, model.head, batch.pairs, 1.0);
}

/// The mean probability of the right letter over groups that are not trained on.
double held_out_probability(const Decoder<float>& model, const JudgeTokens& tokens,
                            const world::JudgeCorpusSettings& corpus) {
  const NoGradient silent;
  double sum = 0;
  Index count = 0;
  for (std::uint32_t part = 0; part < 8; ++part) {
    const auto values = target_log_probabilities(model, make_batch(tokens, corpus, 0x7E57, 64 * part, 64, false));
    for (const float value : values.value().span()) sum += std::exp(static_cast<double>(value));
    count += values.value().elements();
  }
  return sum / static_cast<double>(count);
}

void run(const Options& options) {
  const Tokenizer tokenizer = Tokenizer::from_file(options.tokenizer);
  const JudgeTokens tokens(tokenizer, QuestionPrompt::brief());
  world::JudgeCorpusSettings corpus;
  corpus.clip = options.clip_share;
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
  settings.recorded = {{"steps", options.steps},   {"groups", options.groups},
                       {"width", options.width},   {"clip_share", options.clip_share},
                       {"layers", options.layers}, {"learning_rate", options.learning_rate},
                       {"seed", options.seed}};
  std::filesystem::create_directories(settings.folder);

  const InterruptScope ctrl_c;
  TrainingRun<float> run(settings, named_blocks<float>(model));
  Progress progress("teaching the judge", run.steps(), run.step());
  while (run.going()) {
    StopWatch watch;
    const auto first = static_cast<std::uint32_t>(run.step() * options.groups);
    const JudgeBatch batch = make_batch(tokens, corpus, options.seed, first, options.groups, true);
    Tape tape;
    const auto log_probabilities = target_log_probabilities(model, batch);
    const auto count = static_cast<double>(batch.pairs.size());
    double loss = 0;
    double probability = 0;
    for (const float value : log_probabilities.value().span()) loss -= static_cast<double>(value) / count;
    for (const float value : log_probabilities.value().span().first(static_cast<std::size_t>(batch.letters))) {
      probability += std::exp(static_cast<double>(value)) / static_cast<double>(batch.letters);
    }
    log_probabilities.seed_gradient(Tensor<float>::full(log_probabilities.shape(), static_cast<float>(-1.0 / count)));
    tape.backward();
    MetricsRow metrics(run.step());
    metrics.add("loss", loss).add("probability", probability).add("gradient_norm", run.update());
    if ((run.step() + 1) % 500 == 0) {
      const double held_out = held_out_probability(model, tokens, corpus);
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
  app.add_option("--clip-share", options.clip_share, "Share of captions of clips")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--seed", options.seed, "Of the weights and the corpus")->capture_default_str();
  app.add_flag("--bf16", options.bf16_weights, "Save the weights as bf16");
  examples::add_threads_option(app);
  return examples::run_program(argc, argv, app, [&] { run(options); });
}
