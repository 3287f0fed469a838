#include "caprl/nn/kv_cache.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <map>
#include <vector>

#include "caprl/tensor/cpu/tree_attention.hpp"
#include "support/dense_attention.hpp"
#include "support/larger.hpp"

using namespace caprl;
namespace ref = caprl::reference;

namespace {

std::vector<Index> indices(std::initializer_list<Index> values) { return values; }

TreeAttentionOptions options_of(const KvCacheShape& shape, Index ratio, Index window = 0) {
  return {.query_heads = ratio * shape.key_heads,
          .key_heads = shape.key_heads,
          .head_size = shape.head_size,
          .scale = 1.0f / std::sqrt(static_cast<float>(shape.head_size)),
          .window = window};
}

/// A cache beside plain copies of every sequence's keys and values, one list of rows a layer.
template <class T>
struct Mirror {
  struct Copy {
    std::vector<ref::Matrix> k, v;  // [layers][tokens][columns]
  };

  KvCache<T> cache;
  TreeAttentionOptions options;
  std::map<SequenceId, Copy> copies;
  double worst = 0;  // relative difference between the cache's attention and the dense one

  Mirror(const KvCacheShape& shape, const TreeAttentionOptions& settings) : cache(shape), options(settings) {}

  Index layers() const { return cache.shape().layers; }
  Index columns() const { return cache.shape().key_heads * cache.shape().head_size; }

  SequenceId create() {
    const SequenceId id = cache.create();
    const auto count = static_cast<std::size_t>(layers());
    copies[id] = {std::vector<ref::Matrix>(count), std::vector<ref::Matrix>(count)};
    return id;
  }

  std::vector<SequenceId> fork(SequenceId id, Index n) {
    const std::vector<SequenceId> forks = cache.fork(id, n);
    for (const SequenceId made : forks) copies[made] = copies[id];
    return forks;
  }

  void release(SequenceId id) {
    cache.release(id);
    copies.erase(id);
  }

  void prefill(RandomStream& random, const PrefixTree& tree, std::vector<SequenceId>& sequences) {
    const CachePrefill prefill = cache.prefill(tree);
    sequences = prefill.sequences;
    for (Index layer = 0; layer < layers(); ++layer) {
      const Tensor<T> k = ref::random_tensor<T>(random, tree.rows(), columns());
      const Tensor<T> v = ref::random_tensor<T>(random, tree.rows(), columns());
      cache.store(prefill.slots, layer, k.rows(), v.rows());
      const ref::Matrix all_k = ref::matrix_of(k.rows()), all_v = ref::matrix_of(v.rows());
      for (Index s = 0; s < tree.segment_count(); ++s) {
        Copy& copy = copies[sequences[static_cast<std::size_t>(s)]];
        copy.k.resize(static_cast<std::size_t>(layers()));
        copy.v.resize(static_cast<std::size_t>(layers()));
        for (const Index row : tree.path_rows(s)) {
          copy.k[static_cast<std::size_t>(layer)].push_back(all_k[static_cast<std::size_t>(row)]);
          copy.v[static_cast<std::size_t>(layer)].push_back(all_v[static_cast<std::size_t>(row)]);
        }
      }
    }
  }

  /// Appends random tokens and compares every layer's attention.
  void extend(RandomStream& random, const std::vector<SequenceId>& ids, const std::vector<Index>& counts) {
    const CacheStep step = cache.extend(ids, counts);
    for (Index layer = 0; layer < layers(); ++layer) {
      const Tensor<T> q = ref::random_tensor<T>(random, step.rows(), options.query_heads * options.head_size);
      const Tensor<T> k = ref::random_tensor<T>(random, step.rows(), columns());
      const Tensor<T> v = ref::random_tensor<T>(random, step.rows(), columns());
      Tensor<T> out(q.shape());
      cache.store(step.slots, layer, k.rows(), v.rows());
      cache.attend(step, layer, options, q.rows(), out.rows());
      Index row = 0;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const Index end = row + counts[i];
        Copy& copy = copies.at(ids[i]);
        auto& keys = copy.k[static_cast<std::size_t>(layer)];
        auto& values = copy.v[static_cast<std::size_t>(layer)];
        for (const auto& added : ref::matrix_of(k.rows().rows_between(row, end))) keys.push_back(added);
        for (const auto& added : ref::matrix_of(v.rows().rows_between(row, end))) values.push_back(added);
        const PrefixTree path = PrefixTree::from_lengths(indices({static_cast<Index>(keys.size())}));
        CHECK(cache.length(ids[i]) == path.rows());
        CHECK(step.positions[static_cast<std::size_t>(end - 1)] == path.rows() - 1);
        ref::Attention dense{path, options, path.rows() - counts[i], ref::matrix_of(q.rows().rows_between(row, end)),
                             keys, values};
        dense.forward();
        worst = testing::larger(worst, ref::relative_difference(out.rows().rows_between(row, end), dense.out));
        row = end;
      }
    }
  }
};

template <class T>
double random_life(std::uint32_t trial) {
  RandomStream random({.seed = 21, .item = trial});
  const KvCacheShape shape{.layers = 2,
                           .key_heads = 1 + trial % 2,
                           .head_size = trial % 3 == 0 ? 8 : 20,
                           .page_tokens = trial % 4 == 3 ? 32 : 16};
  Mirror<T> mirror(shape, options_of(shape, Index{1} << (trial % 3), trial % 5 == 4 ? 13 : 0));
  std::vector<SequenceId> live;
  mirror.prefill(random, ref::random_forest(random, 6, 30), live);
  for (int step = 0; step < 40; ++step) {
    const std::uint32_t action = random.below(10);
    if (action == 0 || live.empty()) {
      live.push_back(mirror.create());
    } else if (action <= 2 && live.size() < 12) {
      const auto at = random.below(static_cast<std::uint32_t>(live.size()));
      const auto forks = mirror.fork(live[at], 1 + static_cast<Index>(random.below(4)));
      live.insert(live.begin() + at + 1, forks.begin(), forks.end());  // relatives stay neighbours
    } else if (action <= 4) {
      const auto at = random.below(static_cast<std::uint32_t>(live.size()));
      mirror.release(live[at]);
      live.erase(live.begin() + at);
    } else {
      std::vector<SequenceId> ids;
      std::vector<Index> counts;
      for (const SequenceId id : live) {
        if (random.below(4) == 0) continue;
        ids.push_back(id);
        counts.push_back(action == 9 ? 1 + static_cast<Index>(random.below(20)) : 1);
      }
      mirror.extend(random, ids, counts);
    }
  }
  while (!live.empty()) {
    mirror.release(live.back());
    live.pop_back();
  }
  CHECK(mirror.cache.pages().pages_in_use() == 0);
  CHECK(mirror.cache.pages().live_sequences() == 0);
  for (Index page = 0; page < mirror.cache.pages().page_count(); ++page)
    CHECK(mirror.cache.pages().references(page) == 0);
  return mirror.worst;
}

}  // namespace

TEST_CASE("random lives of sequences: attention equals a dense one, and all pages return") {
  for (std::uint32_t trial = 0; trial < 12; ++trial) {
    CAPTURE(trial);
    CHECK(random_life<double>(trial) < 1e-12);
    CHECK(random_life<float>(trial) < 1e-5);
  }
}

TEST_CASE("decoding a group step by step equals attention over the whole tree") {
  constexpr Index prompt = 1203, captions = 8, tokens = 37;
  const KvCacheShape shape{.layers = 1, .key_heads = 2, .head_size = 32};
  const TreeAttentionOptions options = options_of(shape, 2);
  std::vector<Index> parents(captions + 1, 0), lengths(captions + 1, tokens);
  parents[0] = -1;
  lengths[0] = prompt;
  const PrefixTree tree = PrefixTree::from_segments(parents, lengths);
  RandomStream random({.seed = 22});
  const Tensor<float> q = ref::random_tensor<float>(random, tree.rows(), 128);
  const Tensor<float> k = ref::random_tensor<float>(random, tree.rows(), 64);
  const Tensor<float> v = ref::random_tensor<float>(random, tree.rows(), 64);
  Tensor<float> whole(q.shape()), log_sum_exp({tree.rows(), 4});
  tree_attention_forward(Cpu{}, tree, 0, options, q.rows(), k.rows(), v.rows(), whole.rows(), log_sum_exp.rows());

  KvCache<float> cache(shape);
  const CachePrefill prefill = cache.prefill(PrefixTree::from_lengths(indices({prompt})));
  cache.store(prefill.slots, 0, k.rows().rows_between(0, prompt), v.rows().rows_between(0, prompt));
  const std::vector<SequenceId> group = cache.fork(prefill.sequences[0], captions);
  cache.release(prefill.sequences[0]);
  CHECK(cache.pages().pages_in_use() == (prompt + 15) / 16);
  double worst = 0;
  for (Index t = 0; t < tokens; ++t) {
    const CacheStep step = cache.append(group);
    if (t == 0) CHECK(step.copies.size() == captions - 1);  // the last holder writes in place
    Tensor<float> new_q({captions, 128}), new_k({captions, 64}), new_v({captions, 64}), out({captions, 128});
    const auto row_of = [&](Index caption) { return prompt + caption * tokens + t; };
    for (Index g = 0; g < captions; ++g) {
      std::copy_n(q.rows().row(row_of(g)), 128, new_q.rows().row(g));
      std::copy_n(k.rows().row(row_of(g)), 64, new_k.rows().row(g));
      std::copy_n(v.rows().row(row_of(g)), 64, new_v.rows().row(g));
    }
    cache.store(step.slots, 0, new_k.rows(), new_v.rows());
    cache.attend(step, 0, options, new_q.rows(), out.rows());
    for (Index g = 0; g < captions; ++g) {
      const auto expected = ref::matrix_of(whole.rows().rows_between(row_of(g), row_of(g) + 1));
      worst = testing::larger(worst, ref::relative_difference(out.rows().rows_between(g, g + 1), expected));
    }
    // 75 full pages shared by all eight, in spans of at most 8 pages; then the pages of each caption
    if (t == 0) {
      CHECK(step.clusters.size() == 1);
      CHECK(step.spans.size() == 10 + 8);
      CHECK(step.spans[0].row_end - step.spans[0].row_begin == captions);
    }
  }
  CHECK(worst < 1e-5);
}

TEST_CASE("prefilling a tree leaves one sequence for each segment") {
  const PrefixTree tree = PrefixTree::from_segments(indices({-1, 0, 1, 0, 0}), indices({20, 7, 40, 0, 3}));
  PageTable table(16);
  const CachePrefill prefill = table.prefill(tree);
  REQUIRE(prefill.sequences.size() == 5);
  for (Index s = 0; s < 5; ++s) {
    CHECK(table.length(prefill.sequences[static_cast<std::size_t>(s)]) ==
          tree.segment(s).depth + tree.segment(s).rows());
  }
  CHECK(table.references(table.pages(prefill.sequences[0])[0]) == 5);
  CHECK(table.references(table.pages(prefill.sequences[0])[1]) == 2);  // the root and its empty child
  CHECK(prefill.slots.size() == 70 + 4 + 11 + 4);                      // partly filled pages are filled again
  for (const SequenceId id : prefill.sequences) table.release(id);
  CHECK(table.pages_in_use() == 0);
}

TEST_CASE("the thread count does not change what is decoded") {
  const int before = threads();
  std::vector<float> first;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    const KvCacheShape shape{.layers = 1, .key_heads = 3, .head_size = 16};
    KvCache<float> cache(shape);
    RandomStream random({.seed = 23});
    const Tensor<float> k = ref::random_tensor<float>(random, 100, 48), q = ref::random_tensor<float>(random, 5, 96);
    const CachePrefill prefill = cache.prefill(PrefixTree::from_lengths(indices({60, 40})));
    cache.store(prefill.slots, 0, k.rows(), k.rows());
    std::vector<SequenceId> ids = cache.fork(prefill.sequences[0], 4);
    ids.push_back(prefill.sequences[1]);
    const CacheStep step = cache.append(ids);
    cache.store(step.slots, 0, k.rows(), k.rows());
    Tensor<float> out(q.shape());
    cache.attend(step, 0, options_of(shape, 2), q.rows(), out.rows());
    if (first.empty()) first.assign(out.span().begin(), out.span().end());
    CHECK(std::memcmp(first.data(), out.data(), first.size() * sizeof(float)) == 0);
  }
  set_threads(before);
}

TEST_CASE("a cache refuses what does not fit") {
  CHECK_THROWS_WITH_AS(KvCache<float>(KvCacheShape{.page_tokens = 24}), doctest::Contains("multiple of 16 tokens"),
                       Error);
  const KvCacheShape shape{.layers = 1, .key_heads = 2, .head_size = 8};
  KvCache<float> cache(shape);
  const SequenceId id = cache.create();
  CHECK_THROWS_WITH_AS(cache.append(indices({id, id})), doctest::Contains("expected each sequence once"), Error);
  CHECK_THROWS_WITH_AS(cache.extend(indices({id}), indices({0})), doctest::Contains("at least 1 token"), Error);
  CHECK_THROWS_WITH_AS(cache.extend(indices({id}), {}), doctest::Contains("one count for each sequence"), Error);
  CHECK_THROWS_WITH_AS(cache.append(indices({id, id + 7})), doctest::Contains("expected a live sequence"), Error);
  CHECK(cache.length(id) == 0);
  const CacheStep step = cache.append(indices({id}));
  Tensor<float> k({1, 16}), q({1, 32});
  CHECK_THROWS_WITH_AS(cache.store(step.slots, 0, q.rows(), k.rows()),
                       doctest::Contains("expected k [1, 16], got [1, 32]"), Error);
  CHECK_THROWS_WITH_AS(cache.store(step.slots, 1, k.rows(), k.rows()), doctest::Contains("a layer that exists"), Error);
  CHECK_THROWS_WITH_AS(cache.attend(step, 0, options_of(shape, 4), q.rows(), q.rows()),
                       doctest::Contains("expected q [1, 64]"), Error);
  TreeAttentionOptions other = options_of(shape, 1);
  other.head_size = 16;
  CHECK_THROWS_WITH_AS(cache.attend(step, 0, other, q.rows(), q.rows()), doctest::Contains("2 key heads of size 8"),
                       Error);
  const Tensor<float> none({0, 16});
  CHECK_THROWS_WITH_AS(cache.store(step.slots, 0, none.rows(), none.rows()), doctest::Contains("for each new token"),
                       Error);
  cache.release(id);
  CHECK_THROWS_WITH_AS(cache.length(id), doctest::Contains("expected a live sequence"), Error);
}
