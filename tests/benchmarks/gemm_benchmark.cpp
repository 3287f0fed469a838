// Matrix products: what gemm and packed weights reach beside oneDNN, Eigen and the machine's peak.
//   gemm_benchmark --benchmark_enable_random_interleaving=true --benchmark_repetitions=9 --benchmark_min_time=0.05
// interleaves the competitors; compare the best and the median of the repetitions.
#include "caprl/tensor/cpu/gemm.hpp"

#include <benchmark/benchmark.h>

#include "caprl/tensor/cpu/eigen_gemm.hpp"
#include "caprl/tensor/cpu/packed_gemm.hpp"
#include "machine.hpp"

namespace {

using caprl::Cpu;
using caprl::Index;
using caprl::PackedWeights;
using caprl::Shape;
using caprl::Tensor;
using caprl::Transpose;
using caprl::WeightFormat;

Tensor<float> filled(const Shape& shape) {
  Tensor<float> tensor(shape);
  for (Index i = 0; i < tensor.elements(); ++i) tensor.data()[i] = static_cast<float>(i % 31) * 0.1f - 1.5f;
  return tensor;
}

/// Form 0: y = x W^T, 1: dx = dy W, 2: dW += dy^T x, for x [M, K] and W [N, K].
struct Form {
  Form(const benchmark::State& state, int number)
      : ta(number == 2 ? Transpose::yes : Transpose::no),
        tb(number == 0 ? Transpose::yes : Transpose::no),
        beta(number == 2 ? 1.0f : 0.0f) {
    const Index m = state.range(0), k = state.range(1), n = state.range(2);
    a = filled(number == 0 ? Shape{m, k} : Shape{m, n});
    b = filled(number == 2 ? Shape{m, k} : Shape{n, k});
    c = filled(number == 0 ? Shape{m, n} : number == 1 ? Shape{m, k} : Shape{n, k});
  }
  Transpose ta, tb;
  float beta;
  Tensor<float> a, b, c;
};

void report(benchmark::State& state) {
  const double operations = 2.0 * static_cast<double>(state.range(0) * state.range(1) * state.range(2));
  state.counters["GFLOPs"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void ours(benchmark::State& state, int number) {
  const Form form(state, number);
  for (auto _ : state) {
    caprl::gemm(Cpu{}, form.ta, form.tb, 1, form.a.rows(), form.b.rows(), form.beta, form.c.rows());
  }
  report(state);
}

void eigen(benchmark::State& state, int number) {
  const Form form(state, number);
  for (auto _ : state) {
    caprl::detail::scale_rows(form.beta, form.c.rows());
    caprl::detail::gemm_eigen<float>(form.ta, form.tb, 1, form.a.rows(), form.b.rows(), form.c.rows());
  }
  report(state);
}

#if defined(CAPRL_WITH_ONEDNN)
void onednn(benchmark::State& state, int number) {
  const Form form(state, number);
  for (auto _ : state) {
    caprl::detail::gemm_onednn(form.ta, form.tb, 1, form.a.rows(), form.b.rows(), form.beta, form.c.rows());
  }
  report(state);
}
#endif

void few_rows(benchmark::State& state) {
  const Form form(state, 0);
  for (auto _ : state) caprl::detail::gemm_few_rows<float>(1, form.a.rows(), form.b.rows(), 0, form.c.rows());
  report(state);
}

void packed(benchmark::State& state, WeightFormat format) {
  const Form form(state, 0);
  const PackedWeights weights(form.b.rows(), format);
  for (auto _ : state) caprl::multiply(Cpu{}, form.a.rows(), weights, form.c.rows());
  report(state);
}

void machine_peak(benchmark::State& state) {
  double operations = 0;
  for (auto _ : state) operations = benchmark_support::run_fused_multiply_adds();
  state.counters["GFLOPs"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void shapes(benchmark::internal::Benchmark* run, std::initializer_list<Index> rows) {
  run->UseRealTime()->ArgNames({"M", "K", "N"});
  for (const Index m : rows) {
    for (const auto& [k, n] :
         {std::pair<Index, Index>{256, 256}, {256, 1024}, {1024, 256}, {768, 2048}, {1536, 1536}}) {
      run->Args({m, k, n});
    }
  }
}
void many(benchmark::internal::Benchmark* run) { shapes(run, {512, 2048}); }
void few(benchmark::internal::Benchmark* run) { shapes(run, {1, 8, 64}); }

BENCHMARK(machine_peak)->UseRealTime();
BENCHMARK_CAPTURE(packed, float32, WeightFormat::float32)->Apply(few);
BENCHMARK_CAPTURE(packed, bf16, WeightFormat::bf16)->Apply(few);
BENCHMARK(few_rows)->Apply(few);
#if defined(CAPRL_WITH_ONEDNN)
BENCHMARK_CAPTURE(onednn, few, 0)->Apply(few);
BENCHMARK_CAPTURE(onednn, forward, 0)->Apply(many);
BENCHMARK_CAPTURE(onednn, input_gradient, 1)->Apply(many);
BENCHMARK_CAPTURE(onednn, weight_gradient, 2)->Apply(many);
#endif
BENCHMARK_CAPTURE(eigen, few, 0)->Apply(few);
BENCHMARK_CAPTURE(ours, forward, 0)->Apply(many);
BENCHMARK_CAPTURE(ours, input_gradient, 1)->Apply(many);
BENCHMARK_CAPTURE(ours, weight_gradient, 2)->Apply(many);
BENCHMARK_CAPTURE(eigen, forward, 0)->Apply(many);
BENCHMARK_CAPTURE(eigen, input_gradient, 1)->Apply(many);
BENCHMARK_CAPTURE(eigen, weight_gradient, 2)->Apply(many);

}  // namespace

BENCHMARK_MAIN();
