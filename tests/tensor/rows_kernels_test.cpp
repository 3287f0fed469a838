#include <doctest/doctest.h>

#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/adamw.hpp"
#include "caprl/tensor/kernels/column_sum.hpp"
#include "caprl/tensor/kernels/elementwise.hpp"
#include "caprl/tensor/kernels/gather.hpp"
#include "caprl/tensor/kernels/squared_norm.hpp"
#include "support/matrices.hpp"

namespace {

using caprl::bf16;
using caprl::Cpu;
using caprl::Error;
using caprl::Index;
using caprl::Tensor;
using caprl::Token;
using test::distance;
using test::number;
using test::random_tensor;
using test::tolerance;

template <class T>
void check_elementwise(Index rows, Index columns) {
  const Tensor<T> a = random_tensor<T>({rows, columns}, 1);
  const Tensor<T> b = random_tensor<T>({rows, columns}, 2);
  std::vector<double> sum, weighted, biased;
  for (Index i = 0; i < a.elements(); ++i) {
    const double x = number(a.data()[i]);
    const double y = number(b.data()[i]);
    sum.push_back(x + y);
    weighted.push_back(2 * x - 0.5 * y);
    biased.push_back(x + number(b.data()[i % columns]));
  }
  Tensor<T> y(a.shape());
  caprl::add(Cpu{}, a.rows(), b.rows(), y.rows());
  CHECK(distance(y, sum) < tolerance<T>());
  y = a.clone();
  caprl::add_into(Cpu{}, b.rows(), y.rows());
  CHECK(distance(y, sum) < tolerance<T>());
  caprl::weighted_sum(Cpu{}, 2, a.rows(), -0.5f, b.rows(), y.rows());
  CHECK(distance(y, weighted) < tolerance<T>());
  caprl::add_bias(Cpu{}, a.rows(), b.data(), y.rows());
  CHECK(distance(y, biased) < tolerance<T>());
}

/// torch.optim.AdamW's update, one parameter in double.
struct NaiveAdamW {
  double parameter, first = 0, second = 0;

  void update(const caprl::AdamWStep& step, double gradient) {
    gradient *= step.gradient_scale;
    parameter *= 1 - step.learning_rate * step.weight_decay;
    first = step.beta1 * first + (1 - step.beta1) * gradient;
    second = step.beta2 * second + (1 - step.beta2) * gradient * gradient;
    const double first_hat = first / (1 - std::pow(step.beta1, static_cast<double>(step.step)));
    const double second_hat = second / (1 - std::pow(step.beta2, static_cast<double>(step.step)));
    parameter -= step.learning_rate * first_hat / (std::sqrt(second_hat) + step.epsilon);
  }
};

template <class T>
void check_adamw(double bound) {
  const Index count = 9001;  // several blocks and a tail
  Tensor<T> parameter = random_tensor<T>({count}, 1);
  Tensor<T> first = Tensor<T>::zeros({count}), second = Tensor<T>::zeros({count});
  std::vector<NaiveAdamW> expected;
  for (const T value : parameter.span()) expected.push_back({number(value)});
  for (Index step = 1; step <= 5; ++step) {
    const caprl::AdamWStep with{.learning_rate = 0.01, .weight_decay = 0.1, .gradient_scale = 0.5, .step = step};
    const Tensor<T> gradient = random_tensor<T>({count}, 10 + static_cast<std::uint64_t>(step));
    for (Index i = 0; i < count; ++i) {
      expected[static_cast<std::size_t>(i)].update(with, number(gradient.data()[i]));
    }
    caprl::adamw(Cpu{}, with, parameter.data(), gradient.data(), first.data(), second.data(), count);
  }
  std::vector<double> values, averages;
  for (const NaiveAdamW& one : expected) {
    values.push_back(one.parameter);
    averages.push_back(one.second);
  }
  CHECK(distance(parameter, values) < bound);
  CHECK(distance(second, averages) < bound);
}

}  // namespace

TEST_CASE("element by element operations are their formulas") {
  for (const Index columns : {1, 15, 16, 50}) {
    check_elementwise<float>(7, columns);
    check_elementwise<double>(7, columns);
    check_elementwise<bf16>(7, columns);
  }
  check_elementwise<float>(600, 100);
}

TEST_CASE("copies change the element type and round as single numbers do") {
  const Tensor<float> x = random_tensor<float>({5, 37}, 1);
  Tensor<bf16> stored(x.shape());
  caprl::copy_rows(Cpu{}, x.rows(), stored.rows());
  for (Index i = 0; i < x.elements(); ++i) REQUIRE(stored.data()[i] == bf16(x.data()[i]));
  Tensor<double> wide(x.shape());
  caprl::copy_rows(Cpu{}, stored.rows(), wide.rows());
  for (Index i = 0; i < x.elements(); ++i) REQUIRE(wide.data()[i] == number(stored.data()[i]));
}

TEST_CASE("column sums add to what is there and do not depend on the number of threads") {
  const Tensor<float> x = random_tensor<float>({1000, 150}, 1);
  std::vector<double> expected(150, 1.0);
  for (Index r = 0; r < 1000; ++r) {
    for (Index c = 0; c < 150; ++c) expected[static_cast<std::size_t>(c)] += number(x.rows()(r, c));
  }
  Tensor<float> sums = Tensor<float>::full({150}, 1.0f);
  caprl::add_column_sums(Cpu{}, x.rows(), sums.data());
  CHECK(distance(sums, expected) < 1e-5);
  const int kept = caprl::threads();
  caprl::set_threads(kept == 1 ? 3 : 1);
  Tensor<float> again = Tensor<float>::full({150}, 1.0f);
  caprl::add_column_sums(Cpu{}, x.rows(), again.data());
  caprl::set_threads(kept);
  CHECK(distance(again, sums) == 0);
}

TEST_CASE("rows are gathered, and their gradients return to where they were picked, in row order") {
  const Tensor<double> table = random_tensor<double>({10, 21}, 1);
  const std::vector<Token> ids = {3, 9, 3, 0, 3, 9};
  Tensor<double> y({6, 21});
  caprl::gather_rows(Cpu{}, table.rows(), ids, y.rows());
  Tensor<double> gradient = Tensor<double>::full({10, 21}, 1.0);
  std::vector<double> expected(210, 1.0);
  for (Index r = 0; r < 6; ++r) {
    for (Index c = 0; c < 21; ++c) {
      const Index id = ids[static_cast<std::size_t>(r)];
      REQUIRE(y.rows()(r, c) == table.rows()(id, c));
      expected[static_cast<std::size_t>(id * 21 + c)] += y.rows()(r, c);
    }
  }
  caprl::scatter_add_rows(Cpu{}, y.rows(), ids, gradient.rows());
  CHECK(distance(gradient, expected) < 1e-15);
  const std::vector<Index> outside = {0, 0, 0, 0, 0, 10};
  CHECK_THROWS_WITH_AS(caprl::gather_rows(Cpu{}, table.rows(), outside, y.rows()),
                       "[gather_rows] expected ids in [0, 10), got 10", Error);
  CHECK_THROWS_AS(caprl::scatter_add_rows(Cpu{}, y.rows(), std::vector<Token>{1}, gradient.rows()), Error);
  caprl::scatter_add_rows(Cpu{}, y.rows().rows_between(0, 0), std::vector<Token>{}, gradient.rows());
  CHECK(distance(gradient, expected) < 1e-15);
}

TEST_CASE("the squared norm is the sum of squares and shows what is not finite") {
  for (const Index count : {0, 1, 100, 8192, 30001}) {
    Tensor<float> x = random_tensor<float>({count}, 1);
    double expected = 0;
    for (const float value : x.span()) expected += number(value) * number(value);
    CHECK(caprl::squared_norm(Cpu{}, x.data(), count) == doctest::Approx(expected).epsilon(1e-6));
    if (count == 0) continue;
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      x.data()[count * 3 / 4] = bad;
      CHECK_FALSE(std::isfinite(caprl::squared_norm(Cpu{}, x.data(), count)));
    }
  }
}

TEST_CASE("AdamW is torch's update") {
  check_adamw<double>(1e-12);
  check_adamw<float>(1e-5);
}

TEST_CASE("AdamW lets a bad gradient reach its own parameter only") {
  Tensor<float> parameter = Tensor<float>::full({40}, 1.0f), gradient = Tensor<float>::full({40}, 1.0f);
  Tensor<float> first = Tensor<float>::zeros({40}), second = Tensor<float>::zeros({40});
  gradient.data()[7] = NAN;
  caprl::adamw(Cpu{}, {}, parameter.data(), gradient.data(), first.data(), second.data(), 40);
  for (Index i = 0; i < 40; ++i) CHECK(std::isnan(parameter.data()[i]) == (i == 7));
}
