// Row kernels beside what the machine's memory allows and beside the simplest loop that a compiler vectorises.
#include <benchmark/benchmark.h>

#include <cmath>
#include <functional>

#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/adamw.hpp"
#include "caprl/tensor/kernels/gelu.hpp"
#include "caprl/tensor/kernels/rms_norm.hpp"
#include "caprl/tensor/kernels/softmax.hpp"
#include "caprl/tensor/kernels/swiglu.hpp"
#include "machine.hpp"

namespace {

using caprl::Cpu;
using caprl::Index;
using caprl::Tensor;

constexpr Index rows = 4096;
constexpr Index columns = 1024;

void report_bytes(benchmark::State& state, double bytes) {
  state.counters["GB"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

Tensor<float> filled() {
  Tensor<float> tensor({rows, columns});
  for (Index i = 0; i < tensor.elements(); ++i) tensor.data()[i] = static_cast<float>(i % 31) * 0.1f - 1.5f;
  return tensor;
}

void triad(benchmark::State& state) {
  Tensor<float> a = filled();
  const Tensor<float> b = filled(), c = filled();
  double bytes = 0;
  for (auto _ : state) bytes = benchmark_support::run_triad(a, b, c);
  report_bytes(state, bytes);
}

void adamw(benchmark::State& state) {
  const Tensor<float> p = filled(), g = filled(), m = filled(), v = Tensor<float>::full({rows, columns}, 1.0f);
  for (auto _ : state) caprl::adamw(Cpu{}, caprl::AdamWStep{}, p.data(), g.data(), m.data(), v.data(), p.elements());
  report_bytes(state, 28.0 * rows * columns);
}

/// The same update as one plain loop over elements, for the compiler to vectorise.
void adamw_plain(benchmark::State& state) {
  const Tensor<float> p = filled(), g = filled(), m = filled(), v = Tensor<float>::full({rows, columns}, 1.0f);
  for (auto _ : state) {
    caprl::parallel_chunks(p.elements(), 16384, [&](Index begin, Index end) {
      float* __restrict parameter = p.data();
      float* __restrict first = m.data();
      float* __restrict second = v.data();
      const float* __restrict gradient = g.data();
      for (Index i = begin; i < end; ++i) {
        first[i] = 0.9f * first[i] + 0.1f * gradient[i];
        second[i] = 0.999f * second[i] + 0.001f * gradient[i] * gradient[i];
        parameter[i] = parameter[i] * 0.99f - 1e-3f * first[i] / (std::sqrt(second[i]) + 1e-8f);
      }
    });
  }
  report_bytes(state, 28.0 * rows * columns);
}

void rms_norm(benchmark::State& state) {
  const Tensor<float> x = filled(), y = filled(), gain = Tensor<float>::full({columns}, 1.0f);
  std::vector<float> inverse(rows);
  for (auto _ : state) caprl::rms_norm(Cpu{}, x.rows(), gain.data(), 1e-6f, y.rows(), inverse.data());
  report_bytes(state, 8.0 * rows * columns);
}

void rms_norm_backward(benchmark::State& state) {
  const Tensor<float> x = filled(), dy = filled(), dx = filled();
  const Tensor<float> gain = Tensor<float>::full({columns}, 1.0f), dgain = Tensor<float>::zeros({columns});
  std::vector<float> inverse(rows, 1.0f);
  for (auto _ : state) {
    caprl::rms_norm_backward(Cpu{}, x.rows(), gain.data(), inverse.data(), dy.rows(), dx.rows(), false, dgain.data());
  }
  report_bytes(state, 12.0 * rows * columns);
}

void swiglu(benchmark::State& state) {
  const Tensor<float> gate = filled(), up = filled(), y = filled();
  for (auto _ : state) caprl::swiglu(Cpu{}, gate.rows(), up.rows(), y.rows());
  report_bytes(state, 12.0 * rows * columns);
}

void swiglu_plain(benchmark::State& state) {
  const Tensor<float> gate = filled(), up = filled(), y = filled();
  for (auto _ : state) {
    caprl::parallel_chunks(y.elements(), 16384, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        y.data()[i] = gate.data()[i] / (1 + std::exp(-gate.data()[i])) * up.data()[i];
      }
    });
  }
  report_bytes(state, 12.0 * rows * columns);
}

void gelu(benchmark::State& state, caprl::GeluForm form) {
  const Tensor<float> x = filled(), y = filled();
  for (auto _ : state) caprl::gelu(Cpu{}, form, x.rows(), y.rows());
  report_bytes(state, 8.0 * rows * columns);
}

void log_softmax(benchmark::State& state) {
  const Tensor<float> x = filled(), y = filled();
  for (auto _ : state) caprl::log_softmax<Cpu, float>(Cpu{}, 1, x.rows(), y.rows());
  report_bytes(state, 8.0 * rows * columns);
}

BENCHMARK(triad)->UseRealTime();
BENCHMARK(adamw)->UseRealTime();
BENCHMARK(adamw_plain)->UseRealTime();
BENCHMARK(rms_norm)->UseRealTime();
BENCHMARK(rms_norm_backward)->UseRealTime();
BENCHMARK(swiglu)->UseRealTime();
BENCHMARK(swiglu_plain)->UseRealTime();
BENCHMARK_CAPTURE(gelu, exact, caprl::GeluForm::exact)->UseRealTime();
BENCHMARK_CAPTURE(gelu, tanh, caprl::GeluForm::tanh)->UseRealTime();
BENCHMARK(log_softmax)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
