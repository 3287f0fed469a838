// A whole training step of the decoder (32 sequences of 128 tokens: forward, backward, AdamW), beside the time of its
// matrix products alone.
#include <benchmark/benchmark.h>

#include "caprl/autograd/log_probability.hpp"
#include "caprl/optim/adamw.hpp"
#include "caprl/tensor/cpu/eigen_gemm.hpp"
#include "decoder_model.hpp"

namespace {

using namespace caprl;
using namespace benchmark_support;

constexpr Index sequences = 32;
constexpr Index length = 128;

void ours(benchmark::State& state) {
  const Decoder<float> model = make_decoder();
  AdamWOptimizer<float> optimizer(parameters_of<float>(model), {});
  const PrefixTree tree = PrefixTree::from_lengths(std::vector<Index>(sequences, length));
  std::vector<Index> tokens;
  std::vector<HeadPair> pairs;
  for (Index s = 0; s < sequences; ++s) {
    for (Index t = 0; t < length; ++t) {
      tokens.push_back(token_at(s, t));
      pairs.push_back({s * length + t, token_at(s, t + 1)});
    }
  }
  double loss = 0;
  const auto step = [&] {
    Tape tape;
    const auto hidden = model(embed(model.embedding, Var<float>(), tokens), tree);
    const auto log_probabilities = token_log_probabilities(hidden, model.head, pairs, 1.0);
    loss = 0;
    for (const float value : log_probabilities.value().span()) loss -= static_cast<double>(value);
    log_probabilities.seed_gradient(
        Tensor<float>::full(log_probabilities.shape(), -1.0f / static_cast<float>(pairs.size())));
    tape.backward();
    optimizer.step(1e-3);
  };
  step();
  const double first_loss = loss / static_cast<double>(pairs.size());
  const Index allocations = CpuAllocator::instance().counters().system_allocations;
  for (auto _ : state) step();
  state.counters["first_loss"] = first_loss;
  state.counters["system_allocations"] =
      static_cast<double>(CpuAllocator::instance().counters().system_allocations - allocations);
  state.counters["peak_MB"] = static_cast<double>(CpuAllocator::instance().counters().peak) * 1e-6;
}

/// A linear layer's three products.
struct Layer {
  Layer(Index rows, Index inputs, Index outputs)
      : x(Tensor<float>::full({rows, inputs}, 0.1f)),
        w(Tensor<float>::full({outputs, inputs}, 0.1f)),
        y(Tensor<float>::full({rows, outputs}, 0.1f)),
        dx({rows, inputs}),
        dw(Tensor<float>::zeros({outputs, inputs})) {}
  template <class Gemm>
  void run(const Gemm& gemm) const {
    gemm(Transpose::no, Transpose::yes, x.rows(), w.rows(), 0.0f, y.rows());
    gemm(Transpose::no, Transpose::no, y.rows(), w.rows(), 0.0f, dx.rows());
    gemm(Transpose::yes, Transpose::no, y.rows(), x.rows(), 1.0f, dw.rows());
  }
  Tensor<float> x, w, y, dx, dw;
};

template <class Gemm>
void products(benchmark::State& state, const Gemm& gemm) {
  const DecoderSettings settings = decoder_settings();
  const Index rows = sequences * length, width = settings.block.hidden_size, wide = settings.block.intermediate_size;
  const Layer qkv(rows, width, 3 * width), out(rows, width, width), gate_up(rows, width, 2 * wide),
      down(rows, wide, width), head(rows, width, settings.vocabulary_size);
  const auto step = [&] {
    for (Index layer = 0; layer < settings.layers; ++layer) {
      for (const Layer* part : {&qkv, &out, &gate_up, &down}) part->run(gemm);
    }
    head.run(gemm);
  };
  step();
  for (auto _ : state) step();
}

void products_eigen(benchmark::State& state) {
  products(state, [](Transpose ta, Transpose tb, auto a, auto b, float beta, auto c) {
    detail::scale_rows(beta, c);
    detail::gemm_eigen<float>(ta, tb, 1, a, b, c);
  });
}

#if defined(CAPRL_WITH_ONEDNN)
void products_onednn(benchmark::State& state) {
  products(state, [](Transpose ta, Transpose tb, auto a, auto b, float beta, auto c) {
    detail::gemm_onednn(ta, tb, 1, a, b, beta, c);
  });
}
BENCHMARK(products_onednn)->UseRealTime()->Unit(benchmark::kMillisecond);
#endif
BENCHMARK(products_eigen)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(ours)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
