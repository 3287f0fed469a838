#include "caprl/tensor/cpu/tree_attention.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "caprl/tensor/prefix_tree_split.hpp"
#include "support/dense_attention.hpp"

using namespace caprl;
namespace ref = caprl::reference;

namespace {

RandomStream stream(std::uint32_t item) { return RandomStream({.seed = 7, .item = item}); }

TreeAttentionOptions options_of(Index query_heads, Index key_heads, Index head_size) {
  return {.query_heads = query_heads,
          .key_heads = key_heads,
          .head_size = head_size,
          .scale = 1.0f / std::sqrt(static_cast<float>(head_size))};
}

/// One problem and its results. q, k and v are column blocks of one matrix when every row is a query.
template <class T>
struct Problem {
  PrefixTree tree;
  TreeAttentionOptions options;
  Index begin = 0;
  Tensor<T> fused, d_out, out, log_sum_exp, d_fused;

  Problem(RandomStream& random, PrefixTree forest, TreeAttentionOptions settings, Index query_row_begin = 0)
      : tree(std::move(forest)), options(settings), begin(query_row_begin) {
    const Index columns = query_columns() + 2 * key_columns();
    fused = ref::random_tensor<T>(random, tree.rows(), columns);
    d_out = ref::random_tensor<T>(random, queries(), query_columns());
    out = Tensor<T>({queries(), query_columns()});
    log_sum_exp = Tensor<T>({queries(), options.query_heads});
    d_fused = Tensor<T>::full({tree.rows(), columns}, T(99));
  }

  Index queries() const { return tree.rows() - begin; }
  Index query_columns() const { return options.query_heads * options.head_size; }
  Index key_columns() const { return options.key_heads * options.head_size; }
  Rows<T> q_of(const Tensor<T>& t) const {
    return t.rows().rows_between(begin, tree.rows()).columns_between(0, query_columns());
  }
  Rows<T> k_of(const Tensor<T>& t) const {
    return t.rows().columns_between(query_columns(), query_columns() + key_columns());
  }
  Rows<T> v_of(const Tensor<T>& t) const {
    return t.rows().columns_between(query_columns() + key_columns(), query_columns() + 2 * key_columns());
  }

  void run() {
    tree_attention_forward(Cpu{}, tree, begin, options, q_of(fused), k_of(fused), v_of(fused), out.rows(),
                           log_sum_exp.rows());
    tree_attention_backward(Cpu{}, tree, begin, options, q_of(fused), k_of(fused), v_of(fused), out.rows(),
                            log_sum_exp.rows(), d_out.rows(), q_of(d_fused), k_of(d_fused), v_of(d_fused));
  }

  ref::Attention dense() const {
    ref::Attention attention{
        tree, options, begin, ref::matrix_of(q_of(fused)), ref::matrix_of(k_of(fused)), ref::matrix_of(v_of(fused))};
    attention.forward();
    attention.backward(ref::matrix_of(d_out.rows()));
    return attention;
  }
};

template <class T>
void check_against_dense(Problem<T>& problem, double tolerance) {
  problem.run();
  const ref::Attention dense = problem.dense();
  CHECK(ref::relative_difference(problem.out.rows(), dense.out) < tolerance);
  CHECK(ref::relative_difference(problem.log_sum_exp.rows(), dense.log_sum_exp) < tolerance);
  CHECK(ref::relative_difference(problem.q_of(problem.d_fused), dense.d_q) < tolerance);
  CHECK(ref::relative_difference(problem.k_of(problem.d_fused), dense.d_k) < tolerance);
  CHECK(ref::relative_difference(problem.v_of(problem.d_fused), dense.d_v) < tolerance);
}

template <class T>
void check_random_forests(double tolerance) {
  for (std::uint32_t trial = 0; trial < 24; ++trial) {
    RandomStream random = stream(trial);
    const Index longest = trial % 3 == 0 ? 60 : trial % 3 == 1 ? 5 : 25;
    const PrefixTree tree =
        ref::random_forest(random, 1 + static_cast<Index>(random.below(trial % 3 == 1 ? 60 : 12)), longest);
    const Index ratio = Index{1} << random.below(3);
    const Index key_heads = 1 + static_cast<Index>(random.below(2));
    TreeAttentionOptions options = options_of(ratio * key_heads, key_heads, trial % 2 == 0 ? 8 : 20);
    options.causal_within = random.below(3) != 0;
    options.window = random.below(2) == 0 ? 0 : 1 + static_cast<Index>(random.below(40));
    const Index begin =
        random.below(3) == 0 ? static_cast<Index>(random.below(static_cast<std::uint32_t>(tree.rows()) + 1)) : 0;
    CAPTURE(trial);
    CAPTURE(tree.rows());
    Problem<T> problem(random, tree, options, begin);
    check_against_dense(problem, tolerance);
  }
}

std::vector<Index> indices(std::initializer_list<Index> values) { return values; }

}  // namespace

TEST_CASE("attention over random forests equals a dense mask, in double") { check_random_forests<double>(1e-9); }

TEST_CASE("attention over random forests equals a dense mask, in float") { check_random_forests<float>(1e-5); }

TEST_CASE("attention holds at the edges of tiles") {
  for (const Index rows : {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200}) {
    RandomStream random = stream(static_cast<std::uint32_t>(100 + rows));
    CAPTURE(rows);
    Problem<double> single(random, PrefixTree::from_lengths(indices({rows})), options_of(2, 1, 16));
    check_against_dense(single, 1e-9);
    Problem<float> prompt(random, PrefixTree::from_segments(indices({-1, 0, 0, 0}), indices({rows, 3, 40, 90})),
                          options_of(4, 2, 32));
    check_against_dense(prompt, 1e-5);
  }
}

TEST_CASE("attention holds for many children of one row, for deep chains and for empty segments") {
  RandomStream random = stream(200);
  std::vector<Index> parents(150, 0), lengths(150, 1);
  parents[0] = -1;
  Problem<double> children(random, PrefixTree::from_segments(parents, lengths), options_of(2, 2, 8));
  check_against_dense(children, 1e-9);
  for (std::size_t s = 0; s < parents.size(); ++s) parents[s] = static_cast<Index>(s) - 1;
  Problem<double> chain(random, PrefixTree::from_segments(parents, lengths), options_of(2, 2, 8));
  check_against_dense(chain, 1e-9);
  Problem<double> hollow(random,
                         PrefixTree::from_segments(indices({-1, 0, 1, 1, 0, -1, 5}), indices({0, 0, 5, 0, 3, 0, 2})),
                         options_of(2, 2, 8));
  check_against_dense(hollow, 1e-9);
}

TEST_CASE("attention holds where the backward is cut into parts") {
  RandomStream random = stream(208);
  const PrefixTree tree = PrefixTree::from_segments(indices({-1, 0, 0, -1}), indices({500, 150, 130, 70}));
  Problem<double> problem(random, tree, options_of(2, 1, 8));
  CHECK(detail::TreeAttentionBackward<double>{tree, 0, problem.options, {}, {}, {}, {}, {}, {}, {}}.parts >= 2);
  check_against_dense(problem, 1e-9);
}

TEST_CASE("where segments are short, few more scores are computed than are seen") {
  std::vector<Index> parents{-1}, lengths{12};  // captions with five questions each, after a common beginning
  for (Index caption = 0; caption < 20; ++caption) {
    parents.push_back(0);
    lengths.push_back(45);
    const auto segment = static_cast<Index>(parents.size()) - 1;
    parents.insert(parents.end(), 5, segment);
    lengths.insert(lengths.end(), 5, 16);
  }
  const PrefixTree tree = PrefixTree::from_segments(parents, lengths);
  const caprl::detail::TreeTiles<float> tiles(tree, 0,
                                              {.query_heads = 1, .key_heads = 1, .head_size = 8, .scale = 1.0f});
  Index seen = 0, computed = 0;
  for (const Index depth : tree.depths()) seen += depth + 1;
  for (const auto& pair : tiles.pairs) computed += pair.scores();
  CHECK(computed >= seen);
  CHECK(computed < seen * 4 / 3);
}

TEST_CASE("attention over nothing is nothing") {
  RandomStream random = stream(201);
  Problem<float> empty(random, PrefixTree(), options_of(2, 2, 8));
  empty.run();
  Problem<float> no_queries(random, PrefixTree::from_lengths(indices({5})), options_of(2, 2, 8), 5);
  no_queries.run();
  CHECK(no_queries.k_of(no_queries.d_fused)(4, 15) == 0.0f);
  CHECK(no_queries.v_of(no_queries.d_fused)(0, 0) == 0.0f);
}

TEST_CASE("large scores neither overflow nor vanish, and NaN is not hidden") {
  RandomStream random = stream(202);
  Problem<float> problem(random, PrefixTree::from_lengths(indices({100})), options_of(1, 1, 16));
  for (float& value : problem.fused.span()) value *= 60.0f;
  problem.run();
  const ref::Attention dense = problem.dense();
  CHECK(ref::relative_difference(problem.out.rows(), dense.out) < 1e-4);
  CHECK(ref::relative_difference(problem.log_sum_exp.rows(), dense.log_sum_exp) < 1e-6);
  CHECK(ref::relative_difference(problem.q_of(problem.d_fused), dense.d_q) < 1e-2);  // weights are nearly 0 and 1
  CHECK(ref::relative_difference(problem.v_of(problem.d_fused), dense.d_v) < 1e-4);
  problem.q_of(problem.fused)(70, 3) = std::nanf("");
  problem.run();
  CHECK(std::isnan(problem.out.rows()(70, 0)));
  CHECK(std::isnan(problem.log_sum_exp.rows()(70, 0)));
  CHECK(!std::isnan(problem.out.rows()(69, 0)));
}

TEST_CASE("gradients equal finite differences") {
  RandomStream random = stream(203);
  TreeAttentionOptions options = options_of(4, 2, 8);
  options.window = 9;
  Problem<double> problem(random, PrefixTree::from_segments(indices({-1, 0, 1, 0, -1}), indices({7, 5, 4, 6, 3})),
                          options);
  problem.run();
  const Tensor<double> gradient = problem.d_fused.clone();
  const auto loss = [&] {
    problem.run();
    double sum = 0;
    for (Index i = 0; i < problem.out.elements(); ++i) sum += problem.out.data()[i] * problem.d_out.data()[i];
    return sum;
  };
  constexpr double step = 1e-4;
  for (int trial = 0; trial < 60; ++trial) {
    const auto i = static_cast<Index>(random.below(static_cast<std::uint32_t>(problem.fused.elements())));
    double& value = problem.fused.data()[i];
    const double before = value;
    const auto at = [&](double shift) {
      value = before + shift;
      return loss();
    };
    const double slope = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
    value = before;
    CHECK(std::abs(slope - gradient.data()[i]) < 1e-9);
  }
}

TEST_CASE("a tree equals its paths as separate sequences, gradients summed") {
  RandomStream random = stream(204);
  const PrefixTree tree =
      PrefixTree::from_segments(indices({-1, 0, 1, 1, 0, 0, 5}), indices({70, 30, 10, 5, 40, 1, 12}));
  const std::vector<Index> leaves = {2, 3, 4, 6};
  Problem<double> whole(random, tree, options_of(4, 2, 8));
  std::vector<Index> lengths, source;
  for (const Index leaf : leaves) {
    for (const Index row : tree.path_rows(leaf)) source.push_back(row);
    lengths.push_back(static_cast<Index>(tree.path_rows(leaf).size()));
  }
  Problem<double> apart(random, PrefixTree::from_lengths(lengths), whole.options);
  std::fill_n(whole.d_out.data(), whole.d_out.elements(), 0.0);
  for (Index r = 0; r < apart.tree.rows(); ++r) {
    const Index row = source[static_cast<std::size_t>(r)];
    std::copy_n(whole.fused.rows().row(row), whole.fused.dim(1), apart.fused.rows().row(r));
    for (Index c = 0; c < whole.d_out.dim(1); ++c) whole.d_out.rows()(row, c) += apart.d_out.rows()(r, c);
  }
  whole.run();
  apart.run();
  ref::Matrix expected_out = ref::zeros(apart.tree.rows(), whole.out.dim(1));
  ref::Matrix summed = ref::zeros(tree.rows(), whole.fused.dim(1));
  for (Index r = 0; r < apart.tree.rows(); ++r) {
    const Index row = source[static_cast<std::size_t>(r)];
    for (Index c = 0; c < whole.out.dim(1); ++c)
      expected_out[static_cast<std::size_t>(r)][static_cast<std::size_t>(c)] = whole.out.rows()(row, c);
    for (Index c = 0; c < whole.fused.dim(1); ++c) {
      summed[static_cast<std::size_t>(row)][static_cast<std::size_t>(c)] += apart.d_fused.rows()(r, c);
    }
  }
  CHECK(ref::relative_difference(apart.out.rows(), expected_out) < 1e-12);
  CHECK(ref::relative_difference(whole.d_fused.rows(), summed) < 1e-12);
}

TEST_CASE("a group split by subtrees gives the whole group's results") {
  RandomStream random = stream(205);
  const PrefixTree tree =
      PrefixTree::from_segments(indices({-1, 0, 0, 2, 2, 0, 0}), indices({90, 40, 20, 15, 5, 70, 33}));
  Problem<double> whole(random, tree, options_of(4, 2, 8));
  whole.run();

  const std::vector<SubtreePlan> plans = plan_by_subtrees(tree, 90);
  REQUIRE(plans.size() == 1);
  REQUIRE(plans[0].below.size() == 3);
  const PrefixTree prefix = PrefixTree::from_lengths(indices({90}));
  Tensor<double> out = Tensor<double>::zeros(whole.out.shape());
  Tensor<double> gradient = Tensor<double>::zeros(whole.fused.shape());
  const auto run_part = [&](const PrefixTree& part_tree, Index begin, const std::vector<Index>& rows) {
    Problem<double> part(random, part_tree, whole.options, begin);
    for (Index r = 0; r < part_tree.rows(); ++r) {
      std::copy_n(whole.fused.rows().row(rows[static_cast<std::size_t>(r)]), whole.fused.dim(1),
                  part.fused.rows().row(r));
    }
    for (Index r = begin; r < part_tree.rows(); ++r) {
      std::copy_n(whole.d_out.rows().row(rows[static_cast<std::size_t>(r)]), whole.d_out.dim(1),
                  part.d_out.rows().row(r - begin));
    }
    for (Index r = 0; r < begin; ++r) std::fill_n(part.d_fused.rows().row(r), part.query_columns(), 0.0);
    part.run();
    for (Index r = 0; r < part_tree.rows(); ++r) {
      const Index row = rows[static_cast<std::size_t>(r)];
      if (r >= begin) std::copy_n(part.out.rows().row(r - begin), out.dim(1), out.rows().row(row));
      for (Index c = 0; c < gradient.dim(1); ++c) gradient.rows()(row, c) += part.d_fused.rows()(r, c);
    }
  };
  for (const SubtreePlan& plan : plans[0].below) run_part(plan.part.tree, plan.part.prefix_rows, plan.part.rows);
  run_part(prefix, 0, prefix.path_rows(0));  // the prefix, once, last
  CHECK(ref::relative_difference(out.rows(), ref::matrix_of(whole.out.rows())) < 1e-12);
  CHECK(ref::relative_difference(gradient.rows(), ref::matrix_of(whole.d_fused.rows())) < 1e-12);
}

TEST_CASE("the thread count does not change a byte") {
  const PrefixTree tree = PrefixTree::from_segments(indices({-1, 0, 0, 0, -1}), indices({500, 120, 130, 110, 80}));
  const int before = threads();
  std::vector<float> first;
  for (const int count : {1, 2, 3, 7}) {
    set_threads(count);
    RandomStream random = stream(206);
    Problem<float> problem(random, tree, options_of(6, 3, 16));
    problem.run();
    std::vector<float> bytes(problem.out.span().begin(), problem.out.span().end());
    bytes.insert(bytes.end(), problem.d_fused.span().begin(), problem.d_fused.span().end());
    if (first.empty()) first = bytes;
    CHECK(std::memcmp(first.data(), bytes.data(), bytes.size() * sizeof(float)) == 0);
  }
  set_threads(before);
}

TEST_CASE("attention refuses shapes and settings that do not fit") {
  RandomStream random = stream(207);
  Problem<float> problem(random, PrefixTree::from_lengths(indices({4})), options_of(4, 2, 8));
  problem.options.key_heads = 3;
  CHECK_THROWS_WITH_AS(problem.run(), doctest::Contains("[tree_attention_forward] expected query heads a multiple"),
                       Error);
  problem.options.key_heads = 2;
  problem.begin = 5;
  CHECK_THROWS_WITH_AS(problem.run(), doctest::Contains("expected the first query among the tree's 4 rows, got row 5"),
                       Error);
  problem.begin = 0;
  problem.out = Tensor<float>({4, 31});
  CHECK_THROWS_WITH_AS(problem.run(), doctest::Contains("expected out [4, 32], got [4, 31]"), Error);
  problem.out = Tensor<float>({4, 32});
  problem.run();
  problem.log_sum_exp = Tensor<float>({3, 4});
  CHECK_THROWS_WITH_AS(problem.run(), doctest::Contains("expected log_sum_exp [4, 4], got [3, 4]"), Error);
  const Rows<float> q = problem.q_of(problem.fused);
  CHECK_THROWS_WITH_AS(tree_attention_backward(Cpu{}, problem.tree, 0, problem.options, q, q, q, q, q, q, q, q, q),
                       doctest::Contains("[tree_attention_backward] expected k [4, 16], got [4, 32]"), Error);
}
