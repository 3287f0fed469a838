#include <doctest/doctest.h>

#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/gelu.hpp"
#include "caprl/tensor/kernels/rotary.hpp"
#include "caprl/tensor/kernels/softmax.hpp"
#include "caprl/tensor/kernels/swiglu.hpp"
#include "support/matrices.hpp"

namespace {

using caprl::Accumulator;
using caprl::bf16;
using caprl::Cpu;
using caprl::Error;
using caprl::GeluForm;
using caprl::Index;
using caprl::Rows;
using caprl::Tensor;
using caprl::Turn;
using test::distance;
using test::number;
using test::random_tensor;
using test::tolerance;

double naive_gelu(GeluForm form, double x) {
  if (form == GeluForm::exact) return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

template <class T>
void check_activations(Index columns) {
  CAPTURE(columns);
  const Tensor<T> x = random_tensor<T>({6, 2 * columns}, 1, 3);
  const auto gate = x.rows().columns_between(0, columns);
  const auto up = x.rows().columns_between(columns, 2 * columns);
  std::vector<double> gated, exact, approximate;
  for (Index r = 0; r < 6; ++r) {
    for (Index c = 0; c < columns; ++c) {
      const double g = number(gate(r, c));
      gated.push_back(g / (1 + std::exp(-g)) * number(up(r, c)));
      exact.push_back(naive_gelu(GeluForm::exact, g));
      approximate.push_back(naive_gelu(GeluForm::tanh, g));
    }
  }
  Tensor<T> y({6, columns});
  caprl::swiglu(Cpu{}, gate, up, y.rows());
  CHECK(distance(y, gated) < tolerance<T>());
  caprl::gelu(Cpu{}, GeluForm::exact, gate, y.rows());
  CHECK(distance(y, exact) < tolerance<T>());
  caprl::gelu(Cpu{}, GeluForm::tanh, gate, y.rows());
  CHECK(distance(y, approximate) < tolerance<T>());
}

template <class T>
void check_log_softmax(Index columns) {
  CAPTURE(columns);
  const Tensor<T> x = random_tensor<T>({6, columns}, 1, 3);
  std::vector<double> expected;
  for (Index r = 0; r < 6; ++r) {
    double total = 0;
    for (Index c = 0; c < columns; ++c) total += std::exp(0.7 * number(x.rows()(r, c)));
    for (Index c = 0; c < columns; ++c) {
      expected.push_back(0.7 * number(x.rows()(r, c)) - std::log(total));
    }
  }
  Tensor<T> y(x.shape());
  caprl::log_softmax(Cpu{}, static_cast<Accumulator<T>>(0.7), x.rows(), y.rows());
  if (columns > 1) CHECK(distance(y, expected) < tolerance<T>());
}

struct Angles {
  Tensor<float> cosine, sine;
};

Angles angles(Index rows, Index half) {
  const Tensor<float> angle = random_tensor<float>({rows, half}, 9);
  Angles result{Tensor<float>({rows, half}), Tensor<float>({rows, half})};
  for (Index i = 0; i < angle.elements(); ++i) {
    result.cosine.data()[i] = std::cos(angle.data()[i]);
    result.sine.data()[i] = std::sin(angle.data()[i]);
  }
  return result;
}

template <class T>
void check_rotary(Index half) {
  CAPTURE(half);
  const Index heads = 3;
  const Angles with = angles(5, half);
  const Tensor<T> x = random_tensor<T>({5, heads * 2 * half}, 1);
  std::vector<double> expected;
  for (Index r = 0; r < 5; ++r) {
    for (Index i = 0; i < x.dim(1); ++i) {
      const Index within = i % (2 * half);
      const double cosine = static_cast<double>(with.cosine.rows()(r, within % half));
      const double sine = static_cast<double>(with.sine.rows()(r, within % half));
      const double turned = within < half ? -number(x.rows()(r, i + half)) : number(x.rows()(r, i - half));
      expected.push_back(number(x.rows()(r, i)) * cosine + turned * sine);
    }
  }
  Tensor<T> y(x.shape());
  caprl::rotary(Cpu{}, Turn::forward, with.cosine.rows(), with.sine.rows(), x.rows(), y.rows());
  CHECK(distance(y, expected) < tolerance<T>());
  caprl::rotary(Cpu{}, Turn::backward, with.cosine.rows(), with.sine.rows(), y.rows(), y.rows());
  CHECK(distance(y, x) < std::max(1e-6, tolerance<T>()));  // the angles are float: cos^2 + sin^2 is 1 to 1e-7
}

}  // namespace

TEST_CASE("activations, log-softmax and rotary are their formulas, with whole packs and with tails") {
  for (const Index columns : {1, 7, 16, 37, 144}) {
    check_activations<float>(columns);
    check_activations<double>(columns);
    check_activations<bf16>(columns);
    check_log_softmax<float>(columns);
    check_log_softmax<double>(columns);
    check_log_softmax<bf16>(columns);
    check_rotary<float>(columns);
    check_rotary<double>(columns);
    check_rotary<bf16>(columns);
  }
}

TEST_CASE("SwiGLU gradients are the finite differences, also in place") {
  const Tensor<double> gate = random_tensor<double>({3, 19}, 1);
  const Tensor<double> up = random_tensor<double>({3, 19}, 2);
  const Tensor<double> dy = random_tensor<double>({3, 19}, 3);
  Tensor<double> y(gate.shape());
  const auto loss = [&] {
    caprl::swiglu(Cpu{}, gate.rows(), up.rows(), y.rows());
    return test::dot(y, dy);
  };
  const Tensor<double> dgate = gate.clone();
  const Tensor<double> dup = up.clone();
  caprl::swiglu_backward(Cpu{}, dgate.rows(), dup.rows(), dy.rows(), dgate.rows(), dup.rows());
  CHECK(distance(dgate, test::finite_difference(gate, loss)) < 1e-9);
  CHECK(distance(dup, test::finite_difference(up, loss)) < 1e-9);
}

TEST_CASE("GELU gradients are the finite differences") {
  const Tensor<double> x = random_tensor<double>({3, 19}, 1, 2);
  const Tensor<double> dy = random_tensor<double>({3, 19}, 3);
  Tensor<double> y(x.shape()), dx(x.shape());
  for (const GeluForm form : {GeluForm::exact, GeluForm::tanh}) {
    const auto loss = [&] {
      caprl::gelu(Cpu{}, form, x.rows(), y.rows());
      return test::dot(y, dy);
    };
    caprl::gelu_backward(Cpu{}, form, x.rows(), dy.rows(), dx.rows());
    CHECK(distance(dx, test::finite_difference(x, loss)) < 1e-9);
  }
}

TEST_CASE("rotary gradients are the finite differences") {
  const Tensor<double> x = random_tensor<double>({3, 20}, 1);
  const Tensor<double> dy = random_tensor<double>({3, 20}, 3);
  Tensor<double> y(x.shape()), dx(x.shape());
  const Angles with = angles(3, 5);
  const auto rotary_loss = [&] {
    caprl::rotary(Cpu{}, Turn::forward, with.cosine.rows(), with.sine.rows(), x.rows(), y.rows());
    return test::dot(y, dy);
  };
  caprl::rotary(Cpu{}, Turn::backward, with.cosine.rows(), with.sine.rows(), dy.rows(), dx.rows());
  CHECK(distance(dx, test::finite_difference(x, rotary_loss)) < 1e-9);
}

TEST_CASE("gradients in float are those in double") {
  const auto gradients = [](auto zero) {
    using T = decltype(zero);
    const Tensor<T> x = random_tensor<T>({9, 70}, 1);
    const Tensor<T> dy = random_tensor<T>({9, 70}, 2);
    Tensor<T> results({4, 9, 70});
    const auto matrix = [&](Index i) { return results.slice(i, i + 1).reshape({9, 70}).rows(); };
    caprl::swiglu_backward(Cpu{}, x.rows(), dy.rows(), dy.rows(), matrix(0), matrix(1));
    caprl::gelu_backward(Cpu{}, GeluForm::exact, x.rows(), dy.rows(), matrix(2));
    caprl::gelu_backward(Cpu{}, GeluForm::tanh, x.rows(), dy.rows(), matrix(3));
    return results;
  };
  const Tensor<float> got = gradients(0.0f);
  const Tensor<double> expected = gradients(0.0);
  for (Index i = 0; i < 4; ++i) CHECK(distance(got.slice(i, i + 1), expected.slice(i, i + 1)) < 1e-5);
}

TEST_CASE("log-softmax is steady for large and equal logits, masks with minus infinity, and shows NaN") {
  Tensor<float> x = Tensor<float>::full({3, 33}, 200.0f);
  x.rows()(1, 4) = -INFINITY;
  x.rows()(2, 32) = NAN;
  Tensor<float> y(x.shape());
  caprl::log_softmax(Cpu{}, 1, x.rows(), y.rows());
  CHECK(y.rows()(0, 7) == doctest::Approx(-std::log(33.0)));
  CHECK(y.rows()(1, 4) == -INFINITY);
  CHECK(y.rows()(1, 5) == doctest::Approx(-std::log(32.0)));
  CHECK(std::isnan(y.rows()(2, 0)));
}

TEST_CASE("shapes that do not fit are named") {
  const Tensor<float> x({3, 20}), narrow({3, 10}), odd({3, 7});
  CHECK_THROWS_WITH_AS(caprl::swiglu(Cpu{}, x.rows(), narrow.rows(), x.rows()),
                       "[swiglu] expected [3, 20], got [3, 10]", Error);
  CHECK_THROWS_WITH_AS(
      caprl::rotary(Cpu{}, Turn::forward, odd.rows(), odd.rows(), x.rows(), x.rows()),
      "[rotary] expected one row of angles for each row and whole heads of twice their columns, got angles [3, 7] for "
      "[3, 20]",
      Error);
}
