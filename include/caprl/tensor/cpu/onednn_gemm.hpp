#pragma once

#include <oneapi/dnnl/dnnl.h>

#include "caprl/core/error.hpp"
#include "caprl/core/hold_signals.hpp"
#include "caprl/tensor/cpu/transpose.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl::detail {

/// c = alpha op(a) op(b) + beta c, by oneDNN, which shares our OpenMP team and is serial inside a parallel chunk.
///
/// Signals wait meanwhile: a handler that runs on the stack of a thread within `dnnl_sgemm` damages the heap (seen with
/// oneDNN 2.6.3, with a timer that does nothing and no code but its own).
inline void gemm_onednn(Transpose ta, Transpose tb, float alpha, Rows<const float> a, Rows<const float> b, float beta,
                        Rows<float> c) {
  const auto letter = [](Transpose transpose) { return transpose == Transpose::yes ? 'T' : 'N'; };
  const HoldSignals held;
  const dnnl_status_t status =
      dnnl_sgemm(letter(ta), letter(tb), c.rows, c.columns, ta == Transpose::no ? a.columns : a.rows, alpha, a.data,
                 a.pitch, b.data, b.pitch, beta, c.data, c.pitch);
  require(status == dnnl_success, "[gemm] oneDNN refused a product");
}

}  // namespace caprl::detail
