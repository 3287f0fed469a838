// Attention over a prefix tree against the same sequences with their prefix repeated, and decoding from the KV cache
// with and without sharing. Counters: flops of the attended pairs alone (masked ones are not work), and the machine's
// peak.

#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "caprl/core/random.hpp"
#include "caprl/nn/kv_cache.hpp"
#include "caprl/tensor/cpu/tree_attention.hpp"

namespace {

using namespace caprl;

constexpr Index captions = 8;
constexpr Index prompt_tokens = 1200;
constexpr Index caption_tokens = 300;

Tensor<float> random_tensor(Index rows, Index columns, std::uint32_t item) {
  Tensor<float> tensor({rows, columns});
  RandomStream random({.seed = 1, .item = item});
  for (float& value : tensor.span()) value = static_cast<float>(random.uniform(-1.0, 1.0));
  return tensor;
}

TreeAttentionOptions options_of(const benchmark::State& state) {
  return {.query_heads = state.range(1), .key_heads = state.range(2), .head_size = state.range(3), .scale = 0.2f};
}

PrefixTree group_tree(bool shared) {
  if (!shared) return PrefixTree::from_lengths(std::vector<Index>(captions, prompt_tokens + caption_tokens));
  std::vector<Index> parents(captions + 1, 0), lengths(captions + 1, caption_tokens);
  parents[0] = -1;
  lengths[0] = prompt_tokens;
  return PrefixTree::from_segments(parents, lengths);
}

/// Attended pairs of rows.
double pairs_of(const PrefixTree& tree) {
  double pairs = 0;
  for (const Index depth : tree.depths()) pairs += static_cast<double>(depth + 1);
  return pairs;
}

void count_flops(benchmark::State& state, double flops) {
  state.counters["FLOP/s"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

/// Multiply-adds on twelve registers, on every thread: what no kernel can pass.
void peak(benchmark::State& state) {
  using Register = Pack<float>::Register;
  constexpr Index rounds = 1000000;
  for (auto _ : state) {
    parallel_for(threads(), 1, [](Index) {
      Register sums[12] = {};
      Register a = Register{} + 0.9f, b = Register{} + 1e-3f;
      asm volatile("" : "+x"(a), "+x"(b));
      for (Register& sum : sums) asm volatile("" : "+x"(sum));  // else the compiler sees that they are all equal
      for (Index i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
        for (Register& sum : sums) sum = sum * a + b;
      }
      for (Register& sum : sums) asm volatile("" : : "x"(sum));
    });
  }
  count_flops(state, 2.0 * 12 * sizeof(Register) / sizeof(float) * rounds * threads());
}

/// Arguments: shared, query heads, key heads, head size.
void training(benchmark::State& state) {
  const PrefixTree tree = group_tree(state.range(0) != 0);
  const TreeAttentionOptions options = options_of(state);
  const Index q_columns = options.query_heads * options.head_size;
  const Index k_columns = options.key_heads * options.head_size;
  const Tensor<float> fused = random_tensor(tree.rows(), q_columns + 2 * k_columns, 1);
  const Tensor<float> d_out = random_tensor(tree.rows(), q_columns, 2);
  const Tensor<float> d_fused(fused.shape()), out(d_out.shape()), log_sum_exp({tree.rows(), options.query_heads});
  const auto q = [&](const Tensor<float>& t) { return t.rows().columns_between(0, q_columns); };
  const auto k = [&](const Tensor<float>& t) { return t.rows().columns_between(q_columns, q_columns + k_columns); };
  const auto v = [&](const Tensor<float>& t) { return t.rows().columns_between(q_columns + k_columns, t.dim(1)); };
  for (auto _ : state) {
    tree_attention_forward(Cpu{}, tree, 0, options, q(fused), k(fused), v(fused), out.rows(), log_sum_exp.rows());
    tree_attention_backward(Cpu{}, tree, 0, options, q(fused), k(fused), v(fused), out.rows(), log_sum_exp.rows(),
                            d_out.rows(), q(d_fused), k(d_fused), v(d_fused));
  }
  count_flops(state, 7 * 2 * pairs_of(tree) * static_cast<double>(q_columns));
}

/// One step of a group in the middle of its captions, one layer. Arguments as for training.
void decoding(benchmark::State& state) {
  const bool shared = state.range(0) != 0;
  const TreeAttentionOptions options = options_of(state);
  KvCache<float> cache({.layers = 1, .key_heads = options.key_heads, .head_size = options.head_size});
  const Index k_columns = options.key_heads * options.head_size;
  const Tensor<float> k = random_tensor(prompt_tokens, k_columns, 1);
  std::vector<SequenceId> group;
  for (Index g = 0; g < (shared ? 1 : captions); ++g) {
    const CachePrefill prefill = cache.prefill(PrefixTree::from_lengths(std::vector<Index>{prompt_tokens}));
    cache.store(prefill.slots, 0, k.rows(), k.rows());
    group.push_back(prefill.sequences[0]);
  }
  if (shared) group = cache.fork(group[0], captions);
  const std::vector<Index> counts(captions, caption_tokens / 2);
  const CacheStep step = cache.extend(group, counts);
  const Tensor<float> new_k = random_tensor(step.rows(), k_columns, 2);
  cache.store(step.slots, 0, new_k.rows(), new_k.rows());
  const CacheStep next = cache.append(group);
  cache.store(next.slots, 0, new_k.rows(), new_k.rows());
  const Tensor<float> q = random_tensor(captions, options.query_heads * options.head_size, 3);
  const Tensor<float> out(q.shape());
  for (auto _ : state) cache.attend(next, 0, options, q.rows(), out.rows());
  const double keys = static_cast<double>(captions * (prompt_tokens + caption_tokens / 2 + 1));
  count_flops(state, 4 * keys * static_cast<double>(options.query_heads * options.head_size));
}

void heads(benchmark::internal::Benchmark* benchmark, benchmark::TimeUnit unit) {
  for (const auto& [query_heads, key_heads, head_size] :
       {std::array<Index, 3>{8, 8, 32}, std::array<Index, 3>{4, 4, 64}, std::array<Index, 3>{8, 2, 32}}) {
    for (const Index shared : {1, 0}) benchmark->Args({shared, query_heads, key_heads, head_size});
  }
  benchmark->ArgNames({"shared", "query_heads", "key_heads", "head_size"})->Unit(unit)->UseRealTime();
}

BENCHMARK(peak)->UseRealTime();
BENCHMARK(training)->Apply([](auto* b) { heads(b, benchmark::kMillisecond); });
BENCHMARK(decoding)->Apply([](auto* b) { heads(b, benchmark::kMicrosecond); });

}  // namespace

BENCHMARK_MAIN();
