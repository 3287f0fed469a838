#pragma once

#include <utility>
#include <vector>

#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/tensor/cpu/head.hpp"

namespace caprl {

/// The log-probabilities of tokens under softmax(inverse_temperature * hidden weight^T), one for each pair of a row and
/// a target, without a [tokens, vocabulary] buffer: hidden [T, C], head [V, C], result [pairs].
template <class T, class Device>
Var<T, Device> token_log_probabilities(const Var<T, Device>& hidden, const Parameter<T, Device>& head,
                                       std::vector<HeadPair> pairs, double inverse_temperature) {
  const auto count = static_cast<Index>(pairs.size());
  const auto scale = static_cast<T>(inverse_temperature);
  Var<T, Device> result(Tensor<T, Device>({count}), needs_backward(hidden, head));
  Tensor<T, Device> log_total({count});
  head_log_probability<T>(Device{}, hidden.rows(), head.rows(), pairs, scale,
                          {.log_probability = result.value().span(), .log_total = log_total.span()});
  record_backward(result, [=, asked = std::move(pairs)] {
    HeadGradient<T> gradient;
    if (hidden.needs_gradient()) {
      if (!hidden.has_gradient()) hidden.seed_gradient(Tensor<T, Device>::zeros(hidden.shape()));
      gradient.hidden = hidden.gradient().rows();
    }
    if (head.needs_gradient()) gradient.weight = head.gradient().rows();
    head_log_probability_backward<T>(Device{}, hidden.rows(), head.rows(), asked, scale, log_total.span(),
                                     result.gradient().span(), gradient);
  });
  return result;
}

}  // namespace caprl
