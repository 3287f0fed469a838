#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "caprl/core/random.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/tensor.hpp"

namespace test {

using caprl::Index;
using caprl::Shape;
using caprl::Tensor;

/// Normal numbers, the same for every element type up to rounding.
template <class T>
Tensor<T> random_tensor(const Shape& shape, std::uint64_t seed, double deviation = 1) {
  caprl::RandomStream random({.seed = seed});
  Tensor<T> tensor(shape);
  for (T& value : tensor.span())
    value = static_cast<T>(static_cast<caprl::Accumulator<T>>(deviation * random.normal()));
  return tensor;
}

template <class T>
double number(T value) {
  return static_cast<double>(static_cast<caprl::Accumulator<T>>(value));
}

template <class T>
std::vector<double> numbers(const Tensor<T>& tensor) {
  std::vector<double> values;
  for (const T value : tensor.span()) values.push_back(number(value));
  return values;
}
template <class T>
std::vector<double> numbers(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

/// Norm of the difference over the norm of what is expected. NaN or a difference in size never passes a bound.
template <class Got, class Expected>
double distance(const Got& got, const Expected& expected) {
  const std::vector<double> a = numbers(got);
  const std::vector<double> b = numbers(expected);
  if (a.size() != b.size()) return INFINITY;
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference) / std::max(std::sqrt(norm), 1e-300);
}

/// What a kernel of element type T may be off from double arithmetic.
template <class T>
constexpr double tolerance() {
  return sizeof(T) == 8 ? 1e-12 : sizeof(T) == 4 ? 1e-5 : 1e-2;
}

/// The gradient of `loss` by each element of `x`, by fourth-order central differences.
inline std::vector<double> finite_difference(const Tensor<double>& x, const std::function<double()>& loss,
                                             double step = 1e-3) {
  std::vector<double> gradient;
  for (double& value : x.span()) {
    const double kept = value;
    const auto at = [&](double offset) {
      value = kept + offset * step;
      const double result = loss();
      value = kept;
      return result;
    };
    gradient.push_back((8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step));
  }
  return gradient;
}

/// sum(a b): a loss whose derivative by a is b.
inline double dot(const Tensor<double>& a, const Tensor<double>& b) {
  double sum = 0;
  for (Index i = 0; i < a.elements(); ++i) sum += a.data()[i] * b.data()[i];
  return sum;
}

}  // namespace test
