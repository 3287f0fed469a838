#pragma once

#include <type_traits>

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"
#include "caprl/tensor/tensor.hpp"

/// Sums over rows: gradients of biases and gains. Rows are summed in parts of a fixed size, and the parts in order, so
/// the result does not depend on the number of threads, and rounding grows slowly with the rows.
namespace caprl {

namespace kernels {

/// A row kernel that does nothing.
struct NoRowKernel {
  template <class Team>
  CAPRL_HD void operator()(const Team&, Index) const {}
};

/// partial[part, c] = the sum of term(row, c) over the part's rows; `kernel` runs on each row after its term was read,
/// so that both find the row in the cache.
template <class T, class Term, class Kernel>
struct PartialColumnSums {
  static constexpr Index rows_per_part = 32;

  Index rows;
  Term term;
  Kernel kernel;
  Rows<Accumulator<T>> partial;  ///< [parts, columns]

  static Index parts(Index rows) { return (rows + rows_per_part - 1) / rows_per_part; }

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index part) const {
    Accumulator<T>* sums = partial.row(part);
    const Index first = part * rows_per_part;
    const Index last = rows - first < rows_per_part ? rows : first + rows_per_part;
    team.template each<T>(partial.columns, [&](auto at) { at.store(sums, term(first, at)); });
    kernel(team, first);
    for (Index row = first + 1; row < last; ++row) {
      team.template each<T>(partial.columns, [&](auto at) { at.store(sums, at(sums) + term(row, at)); });
      kernel(team, row);
    }
  }
};

/// sums[c] += the sum of partial[., c], for the 64 columns of one block.
template <class A, class G>
struct AddPartialSums {
  static constexpr Index block_columns = 64;

  Rows<const A> partial;
  G* sums;  ///< [columns]

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index block) const {
    const Index begin = block * block_columns;
    const Index count = partial.columns - begin < block_columns ? partial.columns - begin : block_columns;
    team.template each<A>(count, [&](auto at) {
      at.offset += begin;
      auto total = at(partial.row(0));
      for (Index part = 1; part < partial.rows; ++part) total = total + at(partial.row(part));
      at.store(sums, at(sums) + total);
    });
  }
};

}  // namespace kernels

/// sums[c] += the sum over rows of term(row, c); runs `kernel` on every row in the same pass.
template <class T, class Device, class Term, class G, class Kernel = kernels::NoRowKernel>
void add_column_sums(Device device, Index rows, Index columns, const Term& term, G* sums, const Kernel& kernel = {}) {
  using A = Accumulator<T>;
  using Parts = kernels::PartialColumnSums<T, Term, Kernel>;
  using Total = kernels::AddPartialSums<A, G>;
  if (rows == 0) return;
  const Tensor<A, Device> partial({Parts::parts(rows), columns});
  launch_rows(device, partial.dim(0), Parts{rows, term, kernel, partial.rows()}, Parts::rows_per_part * columns);
  launch_rows(device, (columns + Total::block_columns - 1) / Total::block_columns, Total{partial.rows(), sums},
              partial.dim(0) * Total::block_columns);
}

namespace kernels {

template <class T>
struct RowTerm {
  Rows<const T> x;

  template <class Position>
  CAPRL_HD auto operator()(Index row, Position at) const {
    return at(x.row(row));
  }
};

}  // namespace kernels

/// sums[c] += the sum over rows of x[., c]: the gradient of a bias.
template <class Device, class T, class G>
void add_column_sums(Device device, Rows<T> x, G* sums) {
  using Element = std::remove_const_t<T>;
  add_column_sums<Element>(device, x.rows, x.columns, kernels::RowTerm<Element>{x}, sums);
}

}  // namespace caprl
