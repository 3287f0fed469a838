/// Teaches a text-only judge to answer, and to abstain, from captions of the example world.
///
///     train_judge --tokenizer build/world/tokenizer.json --out build/judge --seed 1
///     train_judge --model build/judge/model --clip-share 0.8 --drill-steps 0 --out build/video_judge
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/progress.hpp"
#include "caprl/core/stop_watch.hpp"
#include "caprl/io/fingerprint.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/train/run.hpp"
#include "support/block_settings.hpp"
#include "support/judge_lesson.hpp"
#include "support/program.hpp"

using namespace caprl;
using namespace examples;

namespace {

struct Options {
  std::filesystem::path tokenizer, model, out;
  Index steps = 5000;
  Index drill_steps = 1000;
  Index groups = 24;
  Index width = 128;
  Index heads = 4;
  Index layers = 6;
  double learning_rate = 1.5e-3;
  double clip_share = 0.4;
  std::uint64_t seed = 1;
  bool bf16_weights = false;
};

/// The mean probability of the right letter over groups that are not trained on.
double held_out_probability(const Decoder<float>& model, const JudgeTokens& tokens,
                            const world::JudgeCorpusSettings& corpus) {
  constexpr std::uint32_t parts = 8;
  const NoGradient silent;
  double sum = 0;
  for (std::uint32_t part = 0; part < parts; ++part) {
    const JudgeLesson lesson = make_judge_lesson(tokens, corpus, 0x7E57, 64 * part, 64);
    const Var<float> letters = lesson_log_probabilities(model, lesson)[static_cast<std::size_t>(Said::letter)];
    sum += mean_probability(letters.value().span());
  }
  return sum / parts;
}

/// What the mean probabilities of the kinds are called, in the order in which metrics have them.
constexpr std::array<std::pair<Said, const char*>, kinds_of_said> figures_of_kinds{
    {{Said::letter, "probability"},
     {Said::sentence, "probability.sentence"},
     {Said::word, "probability.word"},
     {Said::option, "probability.option"}}};

constexpr Index drilled_groups = 3;  ///< captions of a drill for each one with questions

std::uint32_t lesson_begin(const Options& options, Index step) {
  return static_cast<std::uint32_t>(step * options.groups * drilled_groups);
}

/// Drills alone first, of more captions, since they are short: half of them of crowded pictures, where the words of a
/// sentence must be told from those of others, then of all sorts. After them questions too.
JudgeLesson lesson_of_step(const Options& options, const JudgeTokens& tokens, const world::JudgeCorpusSettings& corpus,
                           Index step) {
  if (step >= options.drill_steps) {
    return make_judge_lesson(tokens, corpus, options.seed, lesson_begin(options, step), options.groups);
  }
  const auto drilled = step < options.drill_steps / 2 ? world::JudgeCorpusSettings::crowded() : corpus.plain();
  return make_judge_lesson(tokens, drilled, options.seed, lesson_begin(options, step), options.groups * drilled_groups,
                           false);
}

std::filesystem::path tokenizer_file(const Options& options) {
  return options.model.empty() ? options.tokenizer : options.model / "tokenizer.json";
}

/// A judge to go on with, or a new one.
ModelFolder<Decoder<float>> open_judge(const Options& options) {
  if (!options.model.empty()) return load_language_model(options.model);
  const Tokenizer tokenizer = Tokenizer::from_file(options.tokenizer);
  Decoder<float> model({.block = examples::block_settings(options.width, options.heads),
                        .layers = options.layers,
                        .vocabulary_size = tokenizer.vocabulary_size(),
                        .maximum_positions = 2048,
                        .rotary = {.theta = 1e6}});  // low frequencies: words have to match over a whole caption
  initialize(model, options.seed);
  return {std::move(model), tokenizer, options.tokenizer.parent_path()};
}

void run(const Options& options) {
  const auto folder = open_judge(options);
  const Decoder<float>& model = folder.model;
  const JudgeTokens tokens(folder.tokenizer, QuestionPrompt::brief());
  world::JudgeCorpusSettings corpus;
  corpus.clip = options.clip_share;
  RunSettings settings;
  settings.folder = options.out / "run";
  settings.steps = options.steps;
  settings.checkpoint_every = 500;
  settings.optimizer = {.beta2 = 0.95, .weight_decay = 0.05};
  settings.learning_rate = {
      .peak = options.learning_rate, .warmup_steps = 200, .decay_steps = options.steps, .final_share = 0.05};
  settings.recorded = {{"steps", options.steps},
                       {"drill_steps", options.drill_steps},
                       {"groups", options.groups},
                       {"clip_share", options.clip_share},
                       {"seed", options.seed},
                       {"tokenizer", fingerprint(tokenizer_file(options))},
                       {"start", options.model.empty() ? Json() : Json(fingerprint(options.model))}};
  write_decoder_settings(model.settings, settings.recorded["model"]);

  const InterruptScope ctrl_c;
  TrainingRun<float> run(settings, named_blocks<float>(model));
  Progress progress("teaching the judge", run.steps(), run.step());
  while (run.going()) {
    StopWatch watch;
    const JudgeLesson lesson = lesson_of_step(options, tokens, corpus, run.step());
    Tape tape;
    const auto read = lesson_log_probabilities(model, lesson);
    double loss = 0;
    std::array<double, kinds_of_said> probabilities{};
    for (std::size_t kind = 0; kind < read.size(); ++kind) {  // the mean of each kind counts alike
      if (!read[kind].defined()) continue;
      const auto values = read[kind].value().span();
      loss -= mean_of(values) / kinds_of_said;
      probabilities[kind] = mean_probability(values);
      const auto weight = -1.0F / (kinds_of_said * static_cast<float>(values.size()));
      read[kind].seed_gradient(Tensor<float>::full(read[kind].shape(), weight));
    }
    tape.backward();
    MetricsRow metrics(run.step());
    metrics.add("loss", loss);
    for (const auto& [kind, name] : figures_of_kinds) {  // a drill asks for no letter and no option
      if (read[static_cast<std::size_t>(kind)].defined()) {
        metrics.add(name, probabilities[static_cast<std::size_t>(kind)]);
      }
    }
    metrics.add("gradient_norm", run.update());
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
                                 {"probability", probabilities[static_cast<std::size_t>(Said::letter)], 3},
                                 {"tokens/s", static_cast<double>(lesson.shared.tree.rows()) / seconds, 0}});
  }
  if (interrupted()) return;
  save_language_model(model, tokenizer_file(options), options.out / "model",
                      options.bf16_weights ? WeightFormat::bf16 : WeightFormat::float32);
  std::printf("saved %s\n", (options.out / "model").c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Teaches a text-only judge to answer, and to abstain, from captions of the example world.");
  auto* model =
      app.add_option("--model", options.model, "Folder of a judge to go on with")->check(CLI::ExistingDirectory);
  app.add_option("--tokenizer", options.tokenizer, "tokenizer.json of a new judge")
      ->check(CLI::ExistingFile)
      ->excludes(model);
  app.add_option("--out", options.out, "Folder for the run and the judge")->required();
  app.add_option("--steps", options.steps, "Optimizer steps")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--drill-steps", options.drill_steps, "Of these the first, without questions as they are asked")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--groups", options.groups, "Captions a step, each with its questions")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--width", options.width, "Features")
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
      ->excludes(model);
  app.add_option("--heads", options.heads, "Attention heads")
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
      ->excludes(model);
  app.add_option("--layers", options.layers, "Transformer blocks")
      ->capture_default_str()
      ->check(CLI::Range(4, 1024))
      ->excludes(model);
  app.add_option("--learning-rate", options.learning_rate, "Peak learning rate")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--clip-share", options.clip_share,
                 "Share of captions of clips; not in the first half of the drills, of crowded pictures")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--seed", options.seed, "Of the weights and the corpus")->capture_default_str();
  app.add_flag("--bf16", options.bf16_weights, "Save the weights as bf16");
  examples::add_threads_option(app);
  return examples::run_program(argc, argv, app, [&] {
    require(!options.model.empty() || !options.tokenizer.empty(), "[train_judge] expected --tokenizer or --model");
    run(options);
  });
}
