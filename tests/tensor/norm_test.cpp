#include <doctest/doctest.h>

#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/layer_norm.hpp"
#include "caprl/tensor/kernels/rms_norm.hpp"
#include "support/matrices.hpp"

namespace {

using caprl::Accumulator;
using caprl::bf16;
using caprl::Cpu;
using caprl::Error;
using caprl::Index;
using caprl::Rows;
using caprl::Tensor;
using test::distance;
using test::number;
using test::random_tensor;
using test::tolerance;

constexpr double epsilon = 1e-5;

template <class T>
std::vector<double> naive_rms_norm(const Tensor<T>& x, const Tensor<T>& gain) {
  std::vector<double> y;
  for (Index r = 0; r < x.dim(0); ++r) {
    double squares = 0;
    for (Index c = 0; c < x.dim(1); ++c) squares += number(x.rows()(r, c)) * number(x.rows()(r, c));
    const double scale = 1 / std::sqrt(squares / static_cast<double>(x.dim(1)) + epsilon);
    for (Index c = 0; c < x.dim(1); ++c) y.push_back(number(x.rows()(r, c)) * scale * number(gain.data()[c]));
  }
  return y;
}

template <class T>
std::vector<double> naive_layer_norm(const Tensor<T>& x, const Tensor<T>& gain, const Tensor<T>& bias) {
  std::vector<double> y;
  const auto columns = static_cast<double>(x.dim(1));
  for (Index r = 0; r < x.dim(0); ++r) {
    double mean = 0, variance = 0;
    for (Index c = 0; c < x.dim(1); ++c) mean += number(x.rows()(r, c)) / columns;
    for (Index c = 0; c < x.dim(1); ++c) variance += std::pow(number(x.rows()(r, c)) - mean, 2) / columns;
    const double scale = 1 / std::sqrt(variance + epsilon);
    for (Index c = 0; c < x.dim(1); ++c) {
      y.push_back((number(x.rows()(r, c)) - mean) * scale * number(gain.data()[c]) + number(bias.data()[c]));
    }
  }
  return y;
}

template <class T>
void check_layer_norm(Index rows, Index columns) {
  using A = Accumulator<T>;
  CAPTURE(columns);
  const Tensor<T> x = random_tensor<T>({rows, columns}, 1);
  const Tensor<T> gain = random_tensor<T>({columns}, 2), bias = random_tensor<T>({columns}, 3);
  const Tensor<A> moments({2, rows});
  Tensor<T> y({rows, columns});
  caprl::layer_norm<Cpu, T>(Cpu{}, x.rows(), gain.data(), bias.data(), static_cast<A>(epsilon), y.rows(),
                            {moments.data(), moments.data() + rows});
  CHECK(distance(y, naive_layer_norm(x, gain, bias)) < tolerance<T>());
}

template <class T>
void check_forward(Index rows, Index columns) {
  using A = Accumulator<T>;
  CAPTURE(columns);
  const Tensor<T> x = random_tensor<T>({rows, columns}, 1);
  const Tensor<T> gain = random_tensor<T>({columns}, 2);
  std::vector<A> inverse(static_cast<std::size_t>(rows));
  Tensor<T> y({rows, columns});
  caprl::rms_norm(Cpu{}, x.rows(), gain.data(), static_cast<A>(epsilon), y.rows(), inverse.data());
  CHECK(distance(y, naive_rms_norm(x, gain)) < tolerance<T>());
}

/// The norm's two gradients for one output gradient. `shift` is what they hold before.
template <class T>
struct Gradients {
  Gradients(Index rows, Index columns, T shift)
      : dx(Tensor<T>::full({rows, columns}, shift)), dgain(Tensor<T>::full({columns}, shift)) {}
  Tensor<T> dx, dgain;
};

template <class T>
Gradients<T> rms_gradients(const Tensor<T>& x, const Tensor<T>& gain, const Tensor<T>& dy, bool accumulate, T shift) {
  Tensor<T> y(x.shape());
  std::vector<Accumulator<T>> inverse(static_cast<std::size_t>(x.dim(0)));
  caprl::rms_norm(Cpu{}, x.rows(), gain.data(), static_cast<Accumulator<T>>(epsilon), y.rows(), inverse.data());
  Gradients<T> result(x.dim(0), x.dim(1), shift);
  caprl::rms_norm_backward(Cpu{}, x.rows(), gain.data(), inverse.data(), dy.rows(), result.dx.rows(), accumulate,
                           result.dgain.data());
  return result;
}

void shift_back(Tensor<double> tensor) {
  for (double& value : tensor.span()) value -= 1;
}

}  // namespace

TEST_CASE("norms are their formulas, with whole packs and with tails") {
  for (const Index columns : {1, 5, 16, 37, 64, 130, 256}) {
    check_forward<float>(9, columns);
    check_forward<double>(9, columns);
    check_forward<bf16>(9, columns);
    check_layer_norm<float>(9, columns);
    check_layer_norm<double>(9, columns);
    check_layer_norm<bf16>(9, columns);
  }
  check_forward<float>(300, 256);  // several threads
}

TEST_CASE("norm gradients are the finite differences") {
  const Tensor<double> x = random_tensor<double>({5, 23}, 1);
  const Tensor<double> gain = random_tensor<double>({23}, 2);
  const Tensor<double> dy = random_tensor<double>({5, 23}, 4);
  Tensor<double> y(x.shape());
  std::vector<double> inverse(5);
  const auto loss = [&] {
    caprl::rms_norm(Cpu{}, x.rows(), gain.data(), epsilon, y.rows(), inverse.data());
    return test::dot(y, dy);
  };
  for (const bool accumulate : {false, true}) {
    const Gradients<double> rms = rms_gradients(x, gain, dy, accumulate, 1.0);
    if (accumulate) shift_back(rms.dx);
    shift_back(rms.dgain);
    CHECK(distance(rms.dx, test::finite_difference(x, loss)) < 1e-9);
    CHECK(distance(rms.dgain, test::finite_difference(gain, loss)) < 1e-9);
  }
}

TEST_CASE("norm gradients in float are those in double, for many rows and any number of threads") {
  const auto gradients = [](auto zero) {
    using T = decltype(zero);
    const Tensor<T> x = random_tensor<T>({700, 130}, 1);
    const Tensor<T> gain = random_tensor<T>({130}, 2);
    const Tensor<T> dy = random_tensor<T>({700, 130}, 4);
    return rms_gradients(x, gain, dy, false, zero);
  };
  const auto rms = gradients(0.0f);
  const auto rms_double = gradients(0.0);
  CHECK(distance(rms.dx, rms_double.dx) < 1e-5);
  CHECK(distance(rms.dgain, rms_double.dgain) < 1e-5);
  const int kept = caprl::threads();
  caprl::set_threads(kept == 1 ? 2 : 1);
  const auto rms_again = gradients(0.0f);
  caprl::set_threads(kept);
  CHECK(distance(rms_again.dgain, rms.dgain) == 0);
}

TEST_CASE("norms show NaN in its own row only, and refuse other shapes") {
  Tensor<float> x = random_tensor<float>({3, 20}, 1);
  x.rows()(1, 19) = NAN;
  const Tensor<float> gain = Tensor<float>::full({20}, 1.0f);
  Tensor<float> y({3, 20});
  std::vector<float> inverse(3);
  caprl::rms_norm(Cpu{}, x.rows(), gain.data(), 1e-5f, y.rows(), inverse.data());
  CHECK(std::isfinite(y.rows()(0, 0)));
  CHECK(std::isnan(y.rows()(1, 0)));
  CHECK(std::isfinite(y.rows()(2, 0)));
  Tensor<float> narrow({3, 19});
  CHECK_THROWS_WITH_AS(caprl::rms_norm(Cpu{}, x.rows(), gain.data(), 1e-5f, narrow.rows(), inverse.data()),
                       "[rms_norm] expected [3, 20], got [3, 19]", Error);
}
