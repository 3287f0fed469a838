#pragma once

#include <cmath>
#include <vector>

#include "caprl/core/host_device.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/kernels/number.hpp"

namespace caprl {

namespace kernels {

/// Sums of a term of each element over blocks of a buffer, each block in one team: the result depends on the buffer
/// alone, not on the number of threads.
template <class T, class Term>
struct BlockSums {
  static constexpr Index block = 8192;

  const T* data;
  Index count;
  double* sums;  ///< one for each block

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index index) const {
    const T* from = data + index * block;
    const Index size = count - index * block < block ? count - index * block : block;
    const Accumulator<T> sum = team.template sum<T>(size, [&](auto at) { return Term{}(at(from)); });
    if (team.leader()) sums[index] = sum;
  }
};

struct Square {
  template <class Value>
  CAPRL_HD Value operator()(const Value& value) const {
    return value * value;
  }
};

/// 1 for NaN and infinity, else 0.
struct NonFinite {
  template <class Value>
  CAPRL_HD Value operator()(const Value& value) const {
    const Value zero = value - value;  // NaN unless finite
    return select(zero == zero, Value(0), Value(1));
  }
};

}  // namespace kernels

template <class T>
using SquaredNormBlocks = kernels::BlockSums<T, kernels::Square>;
template <class T>
using NonFiniteBlocks = kernels::BlockSums<T, kernels::NonFinite>;

namespace detail {

template <class Kernel, class T>
double sum_of_blocks(Cpu device, const T* data, Index count) {
  const Index blocks = (count + Kernel::block - 1) / Kernel::block;
  std::vector<double> sums(static_cast<std::size_t>(blocks));
  launch_rows(device, blocks, Kernel{data, count, sums.data()}, Kernel::block);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace detail

/// The sum of squares of `count` elements. Not finite if and only if an element is not finite or the sum overflows, so
/// it is also the check that gradients are numbers.
template <class T>
double squared_norm(Cpu device, const T* data, Index count) {
  return detail::sum_of_blocks<SquaredNormBlocks<T>>(device, data, count);
}

/// How many of `count` elements are NaN or infinite.
template <class T>
Index count_non_finite(Cpu device, const T* data, Index count) {
  return static_cast<Index>(detail::sum_of_blocks<NonFiniteBlocks<T>>(device, data, count));
}

template <class T>
bool all_finite(Cpu device, const T* data, Index count) {
  return count_non_finite(device, data, count) == 0;
}

}  // namespace caprl
