#pragma once

#include <span>
#include <string>
#include <type_traits>

#include "caprl/core/error.hpp"
#include "caprl/tensor/cpu/gemm.hpp"
#include "caprl/tensor/cpu/head_tiles.hpp"
#include "caprl/tensor/kernels/views.hpp"

namespace caprl {

namespace detail {

inline void require_numbers(const char* operation, const char* name, std::size_t got, std::size_t pairs) {
  if (got != pairs) {
    throw Error("[" + std::string(operation) + "] expected one " + name + " for each of " + std::to_string(pairs) +
                " pairs, got " + std::to_string(got));
  }
}

/// What nobody asks for is empty.
template <class T>
void require_output(const char* operation, const HeadOutput<T>& output, std::size_t pairs) {
  require_numbers(operation, "log-probability", output.log_probability.size(), pairs);
  if (!output.log_total.empty()) require_numbers(operation, "log total", output.log_total.size(), pairs);
}

template <class T>
void require_gradient(const char* operation, ConstRows<T> hidden, ConstRows<T> weight,
                      const HeadGradient<T>& gradient) {
  if (gradient.hidden.data != nullptr) require_same_shape(operation, hidden, gradient.hidden);
  if (gradient.weight.data != nullptr) require_same_shape(operation, weight, gradient.weight);
}

}  // namespace detail

/// hidden [T, C], weight [V, C]. Writes, for each pair, the log-probability of its target under
/// softmax(inverse_temperature * hidden[row] weight^T) over the whole vocabulary. The probabilities of a few tokens
/// after one row (a judge's letters) are pairs of that row.
template <class T>
void head_log_probability(Cpu, ConstRows<T> hidden, ConstRows<T> weight, std::span<const HeadPair> pairs,
                          T inverse_temperature, const HeadOutput<T>& output) {
  detail::require_output("head_log_probability", output, pairs.size());
  if (!pairs.empty()) detail::Head<T>(hidden, weight, pairs, inverse_temperature).forward(output);
}

/// Adds to `gradient`, given the loss's derivative by each pair's log-probability and the forward pass's `log_total`.
template <class T>
void head_log_probability_backward(Cpu, ConstRows<T> hidden, ConstRows<T> weight, std::span<const HeadPair> pairs,
                                   T inverse_temperature, std::type_identity_t<std::span<const T>> log_total,
                                   std::type_identity_t<std::span<const T>> derivative,
                                   const HeadGradient<T>& gradient) {
  detail::require_numbers("head_log_probability_backward", "log total", log_total.size(), pairs.size());
  detail::require_numbers("head_log_probability_backward", "derivative", derivative.size(), pairs.size());
  detail::require_gradient("head_log_probability_backward", hidden, weight, gradient);
  if (!pairs.empty())
    detail::Head<T>(hidden, weight, pairs, inverse_temperature).backward(log_total, derivative, gradient);
}

/// out [T, V] = hidden [T, C] weight^T.
template <class T>
void logits(Cpu cpu, ConstRows<T> hidden, ConstRows<T> weight, Rows<T> out) {
  gemm(cpu, Transpose::no, Transpose::yes, 1, hidden, weight, 0, out);
}

}  // namespace caprl
