#pragma once

#include <optional>
#include <string>
#include <utility>

#include "caprl/autograd/dropout.hpp"
#include "caprl/autograd/gradient.hpp"
#include "caprl/autograd/var.hpp"
#include "caprl/core/hash.hpp"
#include "caprl/tensor/cpu/gemm.hpp"
#include "caprl/tensor/cpu/launch.hpp"
#include "caprl/tensor/kernels/dropout.hpp"

namespace caprl {

/// What a low-rank adapter adds to some outputs of a linear layer: scale * dropout(x) A^T B^T (LoRA: Hu et al., 2021,
/// arXiv 2106.09685, section 4.1).
template <class T, class Device = Cpu>
struct LowRankTerm {
  Parameter<T, Device> a;  ///< [r, in]
  Parameter<T, Device> b;  ///< [out, r]
  Index begin = 0;         ///< the first of its outputs among the layer's
  T scale = T{1};
  double dropout = 0;  ///< share of x that is dropped, where a `DropoutScope` lives
  std::string name;    ///< names the draws of dropout
};

namespace detail {

/// The draws of a term in the current scope; none where nothing is dropped.
template <class T, class Device>
std::optional<DropoutDraws> dropout_draws(const LowRankTerm<T, Device>& term) {
  const auto& scope = DropoutScope::current();
  if (!scope || term.dropout == 0) return std::nullopt;
  const RandomKey key{
      .seed = scope->seed,
      .purpose = Purpose::dropout,
      .step = scope->step,
      .item = static_cast<std::uint32_t>(Fnv1a().add(term.name).add(std::uint64_t{scope->pass}).value())};
  return DropoutDraws{key, scope->first_row, term.dropout};
}

/// dropout(x): x itself where nothing is dropped.
template <class T, class Device>
Tensor<T, Device> dropped(const Tensor<T, Device>& x, const std::optional<DropoutDraws>& draws) {
  if (!draws) return x;
  const Tensor<T, Device> y(x.shape());
  dropout<Device, T>(Device{}, x.rows(), *draws, false, y.rows());
  return y;
}

/// dB += scale dy^T h, dA += dh^T dropout(x) and dx += dropout(dh A), each where it is asked for, with h = dropout(x)
/// A^T and dh = scale dy B; dy [T, out] are the columns that the term added to.
template <class T, class Device>
void low_rank_backward(const Var<T, Device>& x, const LowRankTerm<T, Device>& term,
                       const std::optional<DropoutDraws>& draws, const Tensor<T, Device>& h, Rows<const T> dy) {
  if (term.b.needs_gradient()) {
    gemm<T>(Device{}, Transpose::yes, Transpose::no, term.scale, dy, h.rows(), T{1}, term.b.gradient().rows());
  }
  const Tensor<T, Device> dh(h.shape());
  gemm<T>(Device{}, Transpose::no, Transpose::no, term.scale, dy, term.b.rows(), T{0}, dh.rows());
  if (term.a.needs_gradient()) {
    const Tensor<T, Device> input = dropped(x.value(), draws);
    gemm<T>(Device{}, Transpose::yes, Transpose::no, T{1}, dh.rows(), input.rows(), T{1}, term.a.gradient().rows());
  }
  if (!x.needs_gradient()) return;
  const auto slot = x.gradient_slot();
  if (!draws) {
    gemm<T>(Device{}, Transpose::no, Transpose::no, T{1}, dh.rows(), term.a.rows(), slot.beta(), slot.rows);
    return;
  }
  const Tensor<T, Device> d_input(x.shape());
  gemm<T>(Device{}, Transpose::no, Transpose::no, T{1}, dh.rows(), term.a.rows(), T{0}, d_input.rows());
  dropout<Device, T>(Device{}, d_input.rows(), *draws, !slot.fresh, slot.rows);
}

}  // namespace detail

/// Adds a term of x [T, in] to columns [term.begin, term.begin + out) of y, the layer's product with x, in place. For a
/// value that nothing else has read.
template <class T, class Device>
void add_low_rank_in_place(const Var<T, Device>& y, const Var<T, Device>& x, const LowRankTerm<T, Device>& term) {
  const Index end = term.begin + term.b.shape()[0];
  require(x.shape().columns() == term.a.shape()[1] && end <= y.shape().columns(),
          "[add_low_rank_in_place] expected a term with the layer's inputs and some of its outputs");
  if (needs_backward(x, term.a, term.b)) y.require_gradient();
  const auto draws = detail::dropout_draws(term);
  const Tensor<T, Device> h({x.shape().rows(), term.a.shape()[0]});
  gemm<T>(Device{}, Transpose::no, Transpose::yes, T{1}, detail::dropped(x.value(), draws).rows(), term.a.rows(), T{0},
          h.rows());
  gemm<T>(Device{}, Transpose::no, Transpose::yes, term.scale, h.rows(), term.b.rows(), T{1},
          y.rows().columns_between(term.begin, end));
  record_backward(y, [=] {
    detail::low_rank_backward<T, Device>(x, term, draws, h, y.gradient().rows().columns_between(term.begin, end));
  });
}

}  // namespace caprl
