// Sampling from the decoder: prompts of 64 tokens, nothing shared between them, 128 tokens drawn for each.
#include <benchmark/benchmark.h>

#include "caprl/policy/generate.hpp"
#include "caprl/sampling/sample.hpp"
#include "decoder_model.hpp"

namespace {

using namespace caprl;
using namespace benchmark_support;

constexpr Index prompt_tokens = 64;
constexpr Index drawn_tokens = 128;

void ours(benchmark::State& state) {
  const NoGradient silent;
  const Decoder<float> model = make_decoder();
  std::vector<std::vector<TokenKey>> prompts;
  for (Index p = 0; p < state.range(0); ++p) prompts.push_back(sequence_of(p, prompt_tokens));
  const SharedBatch batch = lay_out(prompts, true);
  const std::vector<Index> tokens = tokens_of(batch, prompts);
  const GenerateSettings settings{.samples = 1, .maximum_tokens = drawn_tokens, .seed = 1, .step = 0, .item_keys = {}};
  const auto sample = [&] {
    const auto groups = generate(model, embed(model.embedding, Var<float>(), tokens), batch, Sample<>(), settings,
                                 {});  // nothing ends a sample early
    benchmark::DoNotOptimize(groups.data());
  };
  sample();
  for (auto _ : state) sample();
  state.SetItemsProcessed(state.iterations() * state.range(0) * drawn_tokens);
}

BENCHMARK(ours)->UseRealTime()->Unit(benchmark::kMillisecond)->Arg(1)->Arg(8)->Arg(64);

}  // namespace

BENCHMARK_MAIN();
