// Forward and backward pass of a policy update, eight responses to one prompt: the prompt laid out once and repeated.
#include <benchmark/benchmark.h>

#include "caprl/autograd/log_probability.hpp"
#include "decoder_model.hpp"

namespace {

using namespace caprl;
using namespace benchmark_support;

constexpr Index responses = 8;

/// Arguments: shared, tokens of the prompt, tokens of a response.
void update(benchmark::State& state) {
  const Decoder<float> model = make_decoder();
  const Index prompt = state.range(1), response = state.range(2);
  const Index groups = prompt > 64 ? 1 : 4;
  std::vector<std::vector<TokenKey>> sequences;
  for (Index g = 0; g < groups; ++g) {
    for (Index r = 0; r < responses; ++r) {
      sequences.push_back(sequence_of(g, prompt));
      for (Index t = 0; t + 1 < response; ++t) sequences.back().push_back({token_at(g * responses + r + 100, t), 0});
    }
  }
  double flops = 0;
  const auto step = [&] {
    const SharedBatch batch = lay_out(sequences, state.range(0) != 0);
    std::vector<HeadPair> pairs;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      for (Index t = 0; t < response; ++t) {
        const Index number = static_cast<Index>(s) + 100;
        pairs.push_back({batch.row(static_cast<Index>(s), prompt - 1 + t), token_at(number, t)});
      }
    }
    flops = 3 * forward_flops(model.settings, batch.tree, static_cast<Index>(pairs.size()));
    Tape tape;
    const auto hidden = model(embed(model.embedding, Var<float>(), tokens_of(batch, sequences)), batch.tree);
    const auto log_probabilities = token_log_probabilities(hidden, model.head, pairs, 1.0);
    log_probabilities.seed_gradient(
        Tensor<float>::full(log_probabilities.shape(), -1.0f / static_cast<float>(pairs.size())));
    tape.backward();
  };
  step();
  CpuAllocator::instance().reset_peak();
  for (auto _ : state) step();
  state.counters["flops"] = flops;
  state.counters["peak_MB"] = static_cast<double>(CpuAllocator::instance().counters().peak) * 1e-6;
}

BENCHMARK(update)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->ArgNames({"shared", "prompt", "response"})
    ->ArgsProduct({{1, 0}, {64}, {64}})
    ->ArgsProduct({{1, 0}, {512}, {64}})
    ->ArgsProduct({{1, 0}, {2048}, {128}});

}  // namespace

BENCHMARK_MAIN();
