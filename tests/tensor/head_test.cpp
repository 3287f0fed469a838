#include "caprl/tensor/cpu/head.hpp"

#include <doctest/doctest.h>

#include <tuple>

#include "support/matrices.hpp"

namespace {

using caprl::Cpu;
using caprl::Error;
using caprl::HeadGradient;
using caprl::HeadOutput;
using caprl::HeadPair;
using caprl::Index;
using caprl::Rows;
using caprl::Tensor;
using test::distance;
using test::random_tensor;

/// One softmax written out, in double.
struct Dense {
  std::vector<double> log_probability, log_total;
};

template <class T>
Dense dense(const Tensor<T>& hidden, const Tensor<T>& weight, const std::vector<HeadPair>& pairs, double scale) {
  Dense result;
  for (const HeadPair& pair : pairs) {
    std::vector<double> z;
    for (Index v = 0; v < weight.dim(0); ++v) {
      double sum = 0;
      for (Index c = 0; c < hidden.dim(1); ++c) {
        sum += static_cast<double>(hidden.rows()(pair.row, c)) * static_cast<double>(weight.rows()(v, c));
      }
      z.push_back(scale * sum);
    }
    const double top = *std::max_element(z.begin(), z.end());
    double total = 0;
    for (const double value : z) total += std::exp(value - top);
    const double log_total = top + std::log(total);
    result.log_probability.push_back(z[static_cast<std::size_t>(pair.target)] - log_total);
    result.log_total.push_back(log_total);
  }
  return result;
}

template <class T>
struct Results {
  explicit Results(std::size_t pairs) : log_probability(pairs), log_total(pairs) {}
  HeadOutput<T> output() { return {log_probability, log_total}; }
  std::vector<T> log_probability, log_total;
};

/// Rows out of order, several pairs on one row, one pair twice.
const std::vector<HeadPair> shared_pairs = {{4, 0}, {1, 7}, {4, 3}, {4, 0}, {0, 12}, {6, 12}, {1, 1}};

template <class T>
void check_against_dense(const Tensor<T>& hidden, const Tensor<T>& weight, const std::vector<HeadPair>& pairs,
                         double scale, double bound) {
  const Dense expected = dense(hidden, weight, pairs, scale);
  Results<T> got(pairs.size());
  caprl::head_log_probability<T>(Cpu{}, hidden.rows(), weight.rows(), pairs, static_cast<T>(scale), got.output());
  CHECK(distance(got.log_probability, expected.log_probability) < bound);
  CHECK(distance(got.log_total, expected.log_total) < bound);
}

}  // namespace

TEST_CASE("head log-probabilities and totals are those of the dense softmax") {
  check_against_dense(random_tensor<double>({7, 9}, 1), random_tensor<double>({13, 9}, 2), shared_pairs, 1 / 0.6,
                      1e-12);
  check_against_dense(random_tensor<float>({7, 9}, 1), random_tensor<float>({13, 9}, 2), shared_pairs, 1.0, 1e-5);
}

TEST_CASE("vocabularies and rows of several tiles give the same as one tile") {
  const Tensor<double> hidden = random_tensor<double>({20, 5}, 1);
  const Tensor<double> weight = random_tensor<double>({31, 5}, 2);
  std::vector<HeadPair> pairs;
  for (Index i = 0; i < 24; ++i) pairs.push_back({i * i % 19, static_cast<caprl::Token>(i * 11 % 31)});
  const Tensor<double> derivative = random_tensor<double>({24}, 3);
  const auto run = [&](caprl::detail::HeadTile tile) {
    caprl::detail::Head<double> head(hidden.rows(), weight.rows(), pairs, 0.9, tile);
    Results<double> got(24);
    const Tensor<double> dh = Tensor<double>::zeros(hidden.shape());
    const Tensor<double> dw = Tensor<double>::zeros(weight.shape());
    head.forward(got.output());
    head.backward(got.log_total, derivative.span(), {dh.rows(), dw.rows()});
    return std::tuple(got, dh, dw);
  };
  const auto [whole, whole_dh, whole_dw] = run({});
  for (const caprl::detail::HeadTile tile : {caprl::detail::HeadTile{}, {31 * 4, 31}, {15, 5}, {7, 7}, {1, 31}}) {
    const auto [got, dh, dw] = run(tile);
    CHECK(distance(got.log_probability, whole.log_probability) < 1e-14);
    CHECK(distance(got.log_total, whole.log_total) < 1e-14);
    CHECK(distance(dh, whole_dh) < 1e-13);
    CHECK(distance(dw, whole_dw) < 1e-13);
  }
}

TEST_CASE("head gradients are the finite differences, where rows are shared and where they are neighbours") {
  const Tensor<double> hidden = random_tensor<double>({7, 9}, 1);
  const Tensor<double> weight = random_tensor<double>({13, 9}, 2);
  const std::vector<HeadPair> neighbours = {{3, 2}, {4, 5}, {5, 5}};
  for (const std::vector<HeadPair>& pairs : {shared_pairs, neighbours}) {
    const Tensor<double> derivative = random_tensor<double>({static_cast<Index>(pairs.size())}, 3);
    Results<double> got(pairs.size());
    const auto loss = [&] {
      caprl::head_log_probability<double>(Cpu{}, hidden.rows(), weight.rows(), pairs, 1.7, got.output());
      double sum = 0;
      for (std::size_t i = 0; i < pairs.size(); ++i) sum += derivative.data()[i] * got.log_probability[i];
      return sum;
    };
    loss();
    Tensor<double> dh = Tensor<double>::full(hidden.shape(), 1.0);
    Tensor<double> dw = Tensor<double>::full(weight.shape(), 1.0);
    caprl::head_log_probability_backward<double>(Cpu{}, hidden.rows(), weight.rows(), pairs, 1.7, got.log_total,
                                                 derivative.span(), {dh.rows(), dw.rows()});
    for (double& value : dh.span()) value -= 1;  // gradients add to what is there
    for (double& value : dw.span()) value -= 1;
    CHECK(distance(dh, test::finite_difference(hidden, loss)) < 1e-9);
    CHECK(distance(dw, test::finite_difference(weight, loss)) < 1e-9);
  }
}

TEST_CASE("a frozen head or body is left out, and no pairs do nothing") {
  const Tensor<float> hidden = random_tensor<float>({7, 9}, 1);
  const Tensor<float> weight = random_tensor<float>({13, 9}, 2);
  Results<float> got(shared_pairs.size());
  caprl::head_log_probability<float>(Cpu{}, hidden.rows(), weight.rows(), shared_pairs, 1, got.output());
  const std::vector<float> derivative(shared_pairs.size(), 0.5f);
  Tensor<float> dh = Tensor<float>::zeros(hidden.shape());
  Tensor<float> dw = Tensor<float>::zeros(weight.shape());
  Tensor<float> only = Tensor<float>::zeros(hidden.shape());
  const auto backward = [&](const HeadGradient<float>& to) {
    caprl::head_log_probability_backward<float>(Cpu{}, hidden.rows(), weight.rows(), shared_pairs, 1, got.log_total,
                                                derivative, to);
  };
  backward({dh.rows(), dw.rows()});
  backward({only.rows(), {}});
  CHECK(distance(only, dh) == 0);
  only = Tensor<float>::zeros(weight.shape());
  backward({{}, only.rows()});
  CHECK(distance(only, dw) == 0);
  caprl::head_log_probability<float>(Cpu{}, hidden.rows(), weight.rows(), {}, 1, {});
}

TEST_CASE("the head gives the same bytes each time and shows NaN") {
  Tensor<float> hidden = random_tensor<float>({7, 9}, 1);
  const Tensor<float> weight = random_tensor<float>({13, 9}, 2);
  Results<float> first(shared_pairs.size()), again(shared_pairs.size());
  caprl::head_log_probability<float>(Cpu{}, hidden.rows(), weight.rows(), shared_pairs, 1, first.output());
  caprl::head_log_probability<float>(Cpu{}, hidden.rows(), weight.rows(), shared_pairs, 1, again.output());
  CHECK(first.log_probability == again.log_probability);
  hidden.rows()(4, 2) = NAN;
  caprl::head_log_probability<float>(Cpu{}, hidden.rows(), weight.rows(), shared_pairs, 1, again.output());
  CHECK(std::isnan(again.log_probability[0]));
  CHECK(std::isnan(again.log_total[2]));
  CHECK(again.log_probability[1] == first.log_probability[1]);
}

TEST_CASE("the head refuses pairs outside its tables and missing numbers") {
  const Tensor<float> hidden = random_tensor<float>({7, 9}, 1);
  const Tensor<float> weight = random_tensor<float>({13, 9}, 2);
  Results<float> got(1);
  const auto ask = [&](HeadPair pair) {
    const std::vector<HeadPair> pairs{pair};
    caprl::head_log_probability<float>(Cpu{}, hidden.rows(), weight.rows(), pairs, 1, got.output());
  };
  CHECK_THROWS_WITH_AS(ask({7, 0}), "[head] expected rows below 7 and targets below 13, got the pair (7, 0)", Error);
  CHECK_THROWS_AS(ask({0, 13}), Error);
  CHECK_THROWS_AS(ask({-1, 0}), Error);
  CHECK_THROWS_AS(ask({0, -1}), Error);
  CHECK_THROWS_WITH_AS(
      caprl::head_log_probability<float>(Cpu{}, hidden.rows(), weight.rows(), shared_pairs, 1, got.output()),
      "[head_log_probability] expected one log-probability for each of 7 pairs, got 1", Error);
  const Tensor<float> wide = random_tensor<float>({13, 10}, 2);
  const std::vector<HeadPair> pair{{0, 0}};
  CHECK_THROWS_AS(caprl::head_log_probability<float>(Cpu{}, hidden.rows(), wide.rows(), pair, 1, got.output()), Error);
}

TEST_CASE("logits of the few hidden rows asked for") {
  const Tensor<float> hidden = random_tensor<float>({7, 9}, 1);
  const Tensor<float> weight = random_tensor<float>({13, 9}, 2);
  Tensor<float> z({2, 13});
  caprl::logits(Cpu{}, hidden.rows().rows_between(2, 4), weight.rows(), z.rows());
  double sum = 0;
  for (Index c = 0; c < 9; ++c) {
    sum += static_cast<double>(hidden.rows()(3, c)) * static_cast<double>(weight.rows()(5, c));
  }
  CHECK(z.rows()(1, 5) == doctest::Approx(sum).epsilon(1e-5));
}
