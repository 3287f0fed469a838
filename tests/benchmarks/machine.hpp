#pragma once

#include <cstring>

#include "caprl/core/threads.hpp"
#include "caprl/tensor/cpu/serial_team.hpp"
#include "caprl/tensor/tensor.hpp"

/// What the machine can do, measured in the same run as what is compared with it: shared machines change by the minute.
namespace benchmark_support {

using caprl::Index;
using caprl::Pack;
using caprl::Tensor;

/// Multiplies and adds in registers; returns the number of floating-point operations done.
inline double run_fused_multiply_adds() {
  constexpr int chains = 12 / Pack<float>::parts;
  constexpr Index rounds = 200000;
  caprl::parallel_for(caprl::threads(), 1, [](Index) {
    Pack<float> sums[chains];
    for (int i = 0; i < chains; ++i) sums[i] = Pack<float>(static_cast<float>(i));
    Pack<float> factor(0.999999f);
    Pack<float> term(1e-6f);
    asm volatile("" : "+m"(factor), "+m"(term));
    for (Index round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
      for (int i = 0; i < chains; ++i) sums[i] = sums[i] * factor + term;
    }
    asm volatile("" : : "m"(sums));
  });
  return 2.0 * chains * Pack<float>::lanes * static_cast<double>(rounds) * caprl::threads();
}

/// a = b + 2 c; returns the bytes moved, as programs count them.
inline double run_triad(Tensor<float>& a, const Tensor<float>& b, const Tensor<float>& c) {
  caprl::parallel_chunks(a.elements(), 16384, [&](Index begin, Index end) {
    caprl::SerialTeam{}.each<float>(end - begin, [&](auto at) {
      at.offset += begin;
      at.store(a.data(), at(b.data()) + at(c.data()) * 2.0f);
    });
  });
  return 12.0 * static_cast<double>(a.elements());
}

}  // namespace benchmark_support
