// AdamW over many parameters, beside the machine's bandwidth: one tensor larger than every cache, and the decoder's own
// tensors with clipping and the zeroing of gradients.
#include <benchmark/benchmark.h>

#include "caprl/optim/adamw.hpp"
#include "decoder_model.hpp"
#include "machine.hpp"

namespace {

using namespace caprl;
using namespace benchmark_support;

constexpr Index parameters = Index{1} << 25;

void count_bytes(benchmark::State& state, double bytes) {
  state.counters["GB"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void triad(benchmark::State& state) {
  Tensor<float> a = Tensor<float>::zeros({parameters});
  const Tensor<float> b = Tensor<float>::full({parameters}, 1.0f), c = Tensor<float>::full({parameters}, 2.0f);
  double bytes = 0;
  for (auto _ : state) bytes = run_triad(a, b, c);
  count_bytes(state, bytes);
}

void peak(benchmark::State& state) {
  double operations = 0;
  for (auto _ : state) operations = run_fused_multiply_adds();
  state.counters["GFLOPs"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

/// Reads four arrays and writes three of them, as AdamW does, with as little arithmetic as can be: its bandwidth.
void four_arrays(benchmark::State& state) {
  const Tensor<float> p = Tensor<float>::full({parameters}, 1.0f), g = Tensor<float>::full({parameters}, 1e-3f);
  const Tensor<float> m = Tensor<float>::zeros({parameters}), v = Tensor<float>::zeros({parameters});
  for (auto _ : state) {
    parallel_chunks(parameters, 16384, [&](Index begin, Index end) {
      float* __restrict parameter = p.data();
      float* __restrict first = m.data();
      float* __restrict second = v.data();
      const float* __restrict gradient = g.data();
      for (Index i = begin; i < end; ++i) {
        first[i] += gradient[i];
        second[i] += gradient[i];
        parameter[i] += gradient[i];
      }
    });
  }
  count_bytes(state, 28.0 * parameters);
}

void adamw_large(benchmark::State& state) {
  const Tensor<float> p = Tensor<float>::full({parameters}, 1.0f), g = Tensor<float>::full({parameters}, 1e-3f);
  const Tensor<float> m = Tensor<float>::zeros({parameters}), v = Tensor<float>::zeros({parameters});
  for (auto _ : state) adamw(Cpu{}, AdamWStep{}, p.data(), g.data(), m.data(), v.data(), parameters);
  count_bytes(state, 28.0 * parameters);
}

/// Clipping by the global norm, the update, and the gradients back to zero.
void optimizer_decoder(benchmark::State& state) {
  const Decoder<float> model = make_decoder();
  const auto all = parameters_of<float>(model);
  for (const auto& parameter : all) {
    for (float& value : parameter.gradient().span()) value = 1e-3f;
  }
  AdamWOptimizer<float> optimizer(all, {});
  optimizer.step(1e-4);
  for (auto _ : state) optimizer.step(1e-4);
}

BENCHMARK(peak)->UseRealTime();
BENCHMARK(triad)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(four_arrays)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(adamw_large)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(optimizer_decoder)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
