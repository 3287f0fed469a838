#pragma once

#include <string>

#include "caprl/autograd/linear.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/nn/module.hpp"

namespace caprl {

/// What a linear layer multiplies with, and may add.
template <class T, class Device = Cpu>
struct Linear {
  Parameter<T, Device> weight;  ///< [out, in], as Hugging Face stores it
  Parameter<T, Device> bias;    ///< [out]; undefined for none

  Linear(Index out, Index in, bool has_bias) : weight({out, in}) {
    if (has_bias) bias = Parameter<T, Device>({out});
  }
};

/// Visits outputs [begin, end) of a layer under the names of a layer of its own.
template <class Visit, class T, class Device>
void visit_rows(const Visit& visit, const std::string& name, const Linear<T, Device>& layer, Index begin, Index end) {
  visit(NamedBlock<T, Device>{name + ".weight", layer.weight, begin, end, {}});
  if (layer.bias.defined()) visit(NamedBlock<T, Device>{name + ".bias", layer.bias, begin, end, {}});
}

/// Visits a layer's weight and bias.
template <class Visit, class T, class Device>
void visit_layer(const Visit& visit, const std::string& name, const Linear<T, Device>& layer) {
  visit_rows(visit, name, layer, 0, layer.weight.shape()[0]);
}

/// The products of linear layers as ops on the tape: those of training, and of any number of rows.
struct TapedProducts {
  /// x [T, in] to [T, out]
  template <class T, class Device>
  Var<T, Device> linear(const Var<T, Device>& x, const Linear<T, Device>& layer) const {
    return caprl::linear(x, layer.weight, layer.bias);
  }
  /// residual [T, out] plus the same
  template <class T, class Device>
  Var<T, Device> linear_residual(const Var<T, Device>& x, const Linear<T, Device>& layer,
                                 const Var<T, Device>& residual) const {
    return caprl::linear_residual(x, layer.weight, residual, layer.bias);
  }
};

}  // namespace caprl
