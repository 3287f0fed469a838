// Judging captions of 340 tokens by 8 questions of 80 tokens each, the caption read once and read for each question.
#include <benchmark/benchmark.h>

#include "caprl/autograd/log_probability.hpp"
#include "decoder_model.hpp"

namespace {

using namespace caprl;
using namespace benchmark_support;

constexpr Index captions = 4;
constexpr Index questions = 8;
constexpr Index caption_tokens = 340;
constexpr Index question_tokens = 80;

/// The layout is part of the time. Argument: shared.
void judge(benchmark::State& state) {
  const NoGradient silent;
  const Decoder<float> model = make_decoder();
  std::vector<std::vector<TokenKey>> sequences;
  for (Index c = 0; c < captions; ++c) {
    for (Index q = 0; q < questions; ++q) {
      sequences.push_back(sequence_of(c, caption_tokens));
      const auto question = sequence_of(1000 + q, question_tokens);
      sequences.back().insert(sequences.back().end(), question.begin(), question.end());
    }
  }
  Index rows = 0;
  const auto ask = [&] {
    const SharedBatch batch = lay_out(sequences, state.range(0) != 0);
    rows = batch.tree.rows();
    std::vector<HeadPair> pairs;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      const Index last = batch.row(static_cast<Index>(s), batch.lengths[s] - 1);
      for (Token letter = 0; letter < 5; ++letter) pairs.push_back({last, letter});
    }
    const auto hidden = model(embed(model.embedding, Var<float>(), tokens_of(batch, sequences)), batch.tree);
    benchmark::DoNotOptimize(token_log_probabilities(hidden, model.head, pairs, 1.0).value().data());
  };
  ask();
  for (auto _ : state) ask();
  state.counters["tokens"] = static_cast<double>(rows);
}

BENCHMARK(judge)->UseRealTime()->Unit(benchmark::kMillisecond)->ArgName("shared")->Arg(1)->Arg(0);

}  // namespace

BENCHMARK_MAIN();
