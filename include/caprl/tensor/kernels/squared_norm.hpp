#pragma once

#include <cmath>
#include <vector>

#include "caprl/core/host_device.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/kernels/number.hpp"

namespace caprl {

namespace kernels {

/// Sums of squares over blocks of a buffer, each block in one team: the result depends on the buffer alone, not on the
/// number of threads.
template <class T>
struct SquaredNormBlocks {
  static constexpr Index block = 8192;

  const T* data;
  Index count;
  double* sums;  ///< one for each block

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index index) const {
    const T* from = data + index * block;
    const Index size = count - index * block < block ? count - index * block : block;
    const Accumulator<T> sum = team.template sum<T>(size, [&](auto at) {
      const auto value = at(from);
      return value * value;
    });
    if (team.leader()) sums[index] = sum;
  }
};

}  // namespace kernels

/// The sum of squares of `count` elements. Not finite if and only if an element is not finite or the sum overflows, so
/// it is also the check that gradients are numbers.
template <class T>
double squared_norm(Cpu device, const T* data, Index count) {
  using Kernel = kernels::SquaredNormBlocks<T>;
  const Index blocks = (count + Kernel::block - 1) / Kernel::block;
  std::vector<double> sums(static_cast<std::size_t>(blocks));
  launch_rows(device, blocks, Kernel{data, count, sums.data()}, Kernel::block);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace caprl
