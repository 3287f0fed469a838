#pragma once

#include <type_traits>

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/number.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// Sums over rows: gradients of biases and gains. A team takes a block of columns through all rows in order, so the
/// result does not depend on the number of threads.
namespace caprl {

/// sums[c] += the sum over rows of term(row, c), for the 64 columns of one block.
template <class T, class Term, class G>
struct AddColumnSums {
  static constexpr Index block_columns = 64;
  static constexpr Index rows_per_part = 256;  // summed apart, so that rounding grows slowly with the rows

  Index rows;
  Index columns;
  Term term;
  G* sums;  ///< [columns]

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index block) const {
    const Index begin = block * block_columns;
    const Index count = columns - begin < block_columns ? columns - begin : block_columns;
    team.template each<T>(count, [&](auto at) {
      at.offset += begin;
      auto total = at(sums);
      for (Index first = 0; first < rows; first += rows_per_part) {
        const Index last = rows - first < rows_per_part ? rows : first + rows_per_part;
        auto part = term(first, at);
        for (Index row = first + 1; row < last; ++row) part = part + term(row, at);
        total = total + part;
      }
      at.store(sums, total);
    });
  }
};

template <class T, class Device, class Term, class G>
void add_column_sums(Device device, Index rows, Index columns, const Term& term, G* sums) {
  using Kernel = AddColumnSums<T, Term, G>;
  const Index blocks = (columns + Kernel::block_columns - 1) / Kernel::block_columns;
  launch_rows(device, blocks, Kernel{rows, columns, term, sums}, rows * Kernel::block_columns);
}

template <class T>
struct RowTerm {
  Rows<const T> x;

  template <class Position>
  CAPRL_HD auto operator()(Index row, Position at) const {
    return at(x.row(row));
  }
};

/// sums[c] += the sum over rows of x[., c]: the gradient of a bias.
template <class Device, class T, class G>
void add_column_sums(Device device, Rows<T> x, G* sums) {
  using Element = std::remove_const_t<T>;
  add_column_sums<Element>(device, x.rows, x.columns, RowTerm<Element>{x}, sums);
}

}  // namespace caprl
