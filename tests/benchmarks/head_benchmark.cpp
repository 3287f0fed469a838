// The output head with token log-probabilities, forward and backward, beside its matrix products alone.
#include "caprl/tensor/cpu/head.hpp"

#include <benchmark/benchmark.h>

namespace {

using caprl::Cpu;
using caprl::HeadOutput;
using caprl::HeadPair;
using caprl::Index;
using caprl::Tensor;
using caprl::Transpose;

struct Sizes {
  explicit Sizes(const benchmark::State& state)
      : rows(state.range(0)), columns(state.range(1)), vocabulary(state.range(2)) {}
  Index rows, columns, vocabulary;
};

Tensor<float> filled(Index rows, Index columns) {
  Tensor<float> tensor({rows, columns});
  for (Index i = 0; i < tensor.elements(); ++i) tensor.data()[i] = static_cast<float>(i % 31) * 0.01f - 0.15f;
  return tensor;
}

void report(benchmark::State& state, const Sizes& size, double products) {
  const double operations = 2.0 * static_cast<double>(size.rows * size.columns * size.vocabulary) * products;
  state.counters["GFLOPs"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

std::vector<HeadPair> one_pair_a_row(const Sizes& size) {
  std::vector<HeadPair> pairs;
  for (Index r = 0; r < size.rows; ++r) pairs.push_back({r, static_cast<caprl::Token>(r * 7 % size.vocabulary)});
  return pairs;
}

/// logits (as often as asked), d hidden and d weight, in row tiles that fit beside each other in the same memory.
void products(benchmark::State& state, int logits) {
  const Sizes size(state);
  const Tensor<float> hidden = filled(size.rows, size.columns), dh = filled(size.rows, size.columns);
  const Tensor<float> weight = filled(size.vocabulary, size.columns), dw = filled(size.vocabulary, size.columns);
  const Index tile = std::min(size.rows, (Index{1} << 22) / size.vocabulary);
  const Tensor<float> z({tile, size.vocabulary});
  for (auto _ : state) {
    for (Index begin = 0; begin < size.rows; begin += tile) {
      const Index end = std::min(begin + tile, size.rows);
      const auto part = z.rows().rows_between(0, end - begin);
      const auto states = hidden.rows().rows_between(begin, end);
      for (int i = 0; i < logits; ++i) {
        caprl::gemm(Cpu{}, Transpose::no, Transpose::yes, 1, states, weight.rows(), 0, part);
      }
      caprl::gemm(Cpu{}, Transpose::no, Transpose::no, 1, part, weight.rows(), 0, dh.rows().rows_between(begin, end));
      caprl::gemm(Cpu{}, Transpose::yes, Transpose::no, 1e-6f, part, states, 1, dw.rows());
    }
  }
  report(state, size, 2.0 + logits);
}

void four_products(benchmark::State& state) { products(state, 2); }

/// What is allocated at most beyond what was there.
class ExtraMemory {
 public:
  ExtraMemory() : before_(caprl::CpuAllocator::instance().counters().in_use) {
    caprl::CpuAllocator::instance().reset_peak();
  }
  void report(benchmark::State& state) const {
    const Index peak = caprl::CpuAllocator::instance().counters().peak;
    state.counters["extra_MB"] = static_cast<double>(peak - before_) * 1e-6;
  }

 private:
  Index before_;
};

/// Where the loss needs the whole sequence before the backward pass: four products.
void forward_then_backward(benchmark::State& state) {
  const Sizes size(state);
  const Tensor<float> hidden = filled(size.rows, size.columns), dh = filled(size.rows, size.columns);
  const Tensor<float> weight = filled(size.vocabulary, size.columns), dw = filled(size.vocabulary, size.columns);
  const std::vector<HeadPair> pairs = one_pair_a_row(size);
  std::vector<float> log_probability(pairs.size()), log_total(pairs.size());
  const std::vector<float> derivative(pairs.size(), 1e-3f);
  const ExtraMemory extra;
  for (auto _ : state) {
    caprl::head_log_probability<float>(Cpu{}, hidden.rows(), weight.rows(), pairs, 1, {log_probability, log_total});
    caprl::head_log_probability_backward<float>(Cpu{}, hidden.rows(), weight.rows(), pairs, 1, log_total, derivative,
                                                {dh.rows(), dw.rows()});
  }
  extra.report(state);
  report(state, size, 4);
}

void sizes(benchmark::internal::Benchmark* run) {
  run->UseRealTime()->ArgNames({"T", "C", "V"})->Args({4096, 256, 4096})->Args({512, 256, 1024});
}
BENCHMARK(four_products)->Apply(sizes);
BENCHMARK(forward_then_backward)->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
