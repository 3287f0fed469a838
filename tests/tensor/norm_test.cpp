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
  for (Index r = 0; r < x.dim(0); ++r) {
    const auto columns = static_cast<double>(x.dim(1));
    double mean = 0;
    for (Index c = 0; c < x.dim(1); ++c) mean += number(x.rows()(r, c)) / columns;
    double variance = 0;
    for (Index c = 0; c < x.dim(1); ++c) variance += std::pow(number(x.rows()(r, c)) - mean, 2) / columns;
    for (Index c = 0; c < x.dim(1); ++c) {
      y.push_back((number(x.rows()(r, c)) - mean) / std::sqrt(variance + epsilon) * number(gain.data()[c]) +
                  number(bias.data()[c]));
    }
  }
  return y;
}

template <class T>
void check_forward(Index rows, Index columns) {
  using A = Accumulator<T>;
  CAPTURE(columns);
  const Tensor<T> x = random_tensor<T>({rows, columns}, 1);
  const Tensor<T> gain = random_tensor<T>({columns}, 2);
  const Tensor<T> bias = random_tensor<T>({columns}, 3);
  std::vector<A> first(static_cast<std::size_t>(rows)), second(static_cast<std::size_t>(rows));
  Tensor<T> y({rows, columns});
  caprl::rms_norm(Cpu{}, x.rows(), gain.data(), static_cast<A>(epsilon), y.rows(), first.data());
  CHECK(distance(y, naive_rms_norm(x, gain)) < tolerance<T>());
  caprl::layer_norm(Cpu{}, x.rows(), gain.data(), bias.data(), static_cast<A>(epsilon), y.rows(), first.data(),
                    second.data());
  CHECK(distance(y, naive_layer_norm(x, gain, bias)) < tolerance<T>());
}

/// A norm's three gradients for one output gradient. `shift` is what dx and the others hold before.
template <class T>
struct Gradients {
  Gradients(Index rows, Index columns, T shift)
      : dx(Tensor<T>::full({rows, columns}, shift)),
        dgain(Tensor<T>::full({columns}, shift)),
        dbias(Tensor<T>::full({columns}, shift)) {}
  Tensor<T> dx, dgain, dbias;
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

template <class T>
Gradients<T> layer_gradients(const Tensor<T>& x, const Tensor<T>& gain, const Tensor<T>& dy, bool accumulate, T shift) {
  Tensor<T> y(x.shape());
  std::vector<Accumulator<T>> mean(static_cast<std::size_t>(x.dim(0))), inverse(mean);
  caprl::layer_norm(Cpu{}, x.rows(), gain.data(), gain.data(), static_cast<Accumulator<T>>(epsilon), y.rows(),
                    mean.data(), inverse.data());
  Gradients<T> result(x.dim(0), x.dim(1), shift);
  caprl::layer_norm_backward(Cpu{}, x.rows(), gain.data(), mean.data(), inverse.data(), dy.rows(), result.dx.rows(),
                             accumulate, result.dgain.data(), result.dbias.data());
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
  }
  check_forward<float>(300, 256);  // several threads
}

TEST_CASE("norm gradients are the finite differences") {
  const Tensor<double> x = random_tensor<double>({5, 23}, 1);
  const Tensor<double> gain = random_tensor<double>({23}, 2);
  const Tensor<double> bias = random_tensor<double>({23}, 3);
  const Tensor<double> dy = random_tensor<double>({5, 23}, 4);
  Tensor<double> y(x.shape());
  std::vector<double> first(5), second(5);
  const auto rms_loss = [&] {
    caprl::rms_norm(Cpu{}, x.rows(), gain.data(), epsilon, y.rows(), first.data());
    return test::dot(y, dy);
  };
  const auto layer_loss = [&] {
    caprl::layer_norm(Cpu{}, x.rows(), gain.data(), bias.data(), epsilon, y.rows(), first.data(), second.data());
    return test::dot(y, dy);
  };
  for (const bool accumulate : {false, true}) {
    const Gradients<double> rms = rms_gradients(x, gain, dy, accumulate, 1.0);
    const Gradients<double> layer = layer_gradients(x, gain, dy, accumulate, 1.0);
    if (accumulate) {
      shift_back(rms.dx);
      shift_back(layer.dx);
    }
    shift_back(rms.dgain);
    shift_back(layer.dgain);
    shift_back(layer.dbias);
    CHECK(distance(rms.dx, test::finite_difference(x, rms_loss)) < 1e-9);
    CHECK(distance(rms.dgain, test::finite_difference(gain, rms_loss)) < 1e-9);
    CHECK(distance(layer.dx, test::finite_difference(x, layer_loss)) < 1e-9);
    CHECK(distance(layer.dgain, test::finite_difference(gain, layer_loss)) < 1e-9);
    CHECK(distance(layer.dbias, test::finite_difference(bias, layer_loss)) < 1e-9);
  }
}

TEST_CASE("norm gradients in float are those in double, for many rows and any number of threads") {
  const auto gradients = [](auto zero) {
    using T = decltype(zero);
    const Tensor<T> x = random_tensor<T>({700, 130}, 1);
    const Tensor<T> gain = random_tensor<T>({130}, 2);
    const Tensor<T> dy = random_tensor<T>({700, 130}, 4);
    return std::pair(rms_gradients(x, gain, dy, false, zero), layer_gradients(x, gain, dy, false, zero));
  };
  const auto [rms, layer] = gradients(0.0f);
  const auto [rms_double, layer_double] = gradients(0.0);
  CHECK(distance(rms.dx, rms_double.dx) < 1e-5);
  CHECK(distance(rms.dgain, rms_double.dgain) < 1e-5);
  CHECK(distance(layer.dx, layer_double.dx) < 1e-5);
  CHECK(distance(layer.dgain, layer_double.dgain) < 1e-5);
  CHECK(distance(layer.dbias, layer_double.dbias) < 1e-5);
  const int kept = caprl::threads();
  caprl::set_threads(kept == 1 ? 2 : 1);
  const auto [rms_again, layer_again] = gradients(0.0f);
  caprl::set_threads(kept);
  CHECK(distance(rms_again.dgain, rms.dgain) == 0);
  CHECK(distance(layer_again.dbias, layer.dbias) == 0);
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
