#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/kernels/math.hpp"
#include "caprl/tensor/kernels/team.hpp"

/// The team of CUDA: a block of threads, 16 bytes of stored elements to each at a time.
namespace caprl {

/// A few numbers in one thread's registers, with the operations of the host's `Pack`.
template <class T, int Lanes>
struct DevicePack {
  static constexpr int lanes = Lanes;
  using value_type = T;
  using Mask = DevicePack<bool, Lanes>;

  T lane[Lanes];

  DevicePack() = default;
  CAPRL_HD DevicePack(T value) {
    for (T& element : lane) element = value;
  }

  template <class Function>
  CAPRL_HD static DevicePack each(const Function& function) {
    DevicePack pack;
#pragma unroll
    for (int i = 0; i < Lanes; ++i) pack.lane[i] = function(i);
    return pack;
  }

  CAPRL_HD friend DevicePack operator-(const DevicePack& a) {
    return each([&](int i) { return -a.lane[i]; });
  }
  CAPRL_HD friend DevicePack operator+(const DevicePack& a, const DevicePack& b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  CAPRL_HD friend DevicePack operator-(const DevicePack& a, const DevicePack& b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  CAPRL_HD friend DevicePack operator*(const DevicePack& a, const DevicePack& b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  CAPRL_HD friend DevicePack operator/(const DevicePack& a, const DevicePack& b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  CAPRL_HD friend Mask operator>(const DevicePack& a, const DevicePack& b) {
    return Mask::each([&](int i) { return a.lane[i] > b.lane[i]; });
  }
  CAPRL_HD friend Mask operator==(const DevicePack& a, const DevicePack& b) {
    return Mask::each([&](int i) { return a.lane[i] == b.lane[i]; });
  }
};

template <class T, int Lanes>
CAPRL_HD DevicePack<T, Lanes> select(const DevicePack<bool, Lanes>& mask, const DevicePack<T, Lanes>& a,
                                     const DevicePack<T, Lanes>& b) {
  return DevicePack<T, Lanes>::each([&](int i) { return mask.lane[i] ? a.lane[i] : b.lane[i]; });
}
template <class T, int Lanes>
CAPRL_HD DevicePack<T, Lanes> square_root(const DevicePack<T, Lanes>& x) {
  return DevicePack<T, Lanes>::each([&](int i) { return square_root(x.lane[i]); });
}
template <class T, int Lanes>
CAPRL_HD DevicePack<T, Lanes> exponential(const DevicePack<T, Lanes>& x) {
  return DevicePack<T, Lanes>::each([&](int i) { return exponential(x.lane[i]); });
}
template <class T, int Lanes>
CAPRL_HD DevicePack<T, Lanes> error_function(const DevicePack<T, Lanes>& x) {
  return DevicePack<T, Lanes>::each([&](int i) { return error_function(x.lane[i]); });
}

/// 16 bytes of T; loads and stores of an aligned row are single instructions.
template <class T>
struct BlockPosition {
  static constexpr int lanes = 16 / static_cast<int>(sizeof(T));
  using Value = DevicePack<Accumulator<T>, lanes>;

  Index offset;

  template <class Stored>
  CAPRL_HD Value operator()(const Stored* from) const {
    Stored values[lanes];
    copy(from + offset, values);
    return Value::each([&](int i) { return static_cast<Accumulator<T>>(static_cast<Accumulator<Stored>>(values[i])); });
  }
  template <class Stored>
  CAPRL_HD void store(Stored* to, const Value& value) const {
    Stored values[lanes];
    for (int i = 0; i < lanes; ++i) values[i] = static_cast<Stored>(static_cast<Accumulator<Stored>>(value.lane[i]));
    copy(values, to + offset);
  }

 private:
  struct alignas(16) Chunk {
    std::uint32_t words[4];
  };

  template <class Stored>
  CAPRL_HD static void copy(const Stored* from, Stored* to) {
    constexpr int chunks = lanes * static_cast<int>(sizeof(Stored)) / static_cast<int>(sizeof(Chunk));
    if constexpr (chunks > 0) {
      const auto places = reinterpret_cast<std::uintptr_t>(from) | reinterpret_cast<std::uintptr_t>(to);
      if (places % sizeof(Chunk) == 0) {
        for (int i = 0; i < chunks; ++i) reinterpret_cast<Chunk*>(to)[i] = reinterpret_cast<const Chunk*>(from)[i];
        return;
      }
    }
    for (int i = 0; i < lanes; ++i) to[i] = from[i];
  }
};

/// Whole warps; every member must reach every call. Its functions do nothing on the host, where they are never called.
struct BlockTeam {
  CAPRL_HD bool leader() const { return rank() == 0; }

  template <class T, class Body>
  CAPRL_HD void each(Index count, const Body& body) const {
    constexpr Index lanes = BlockPosition<T>::lanes;
    const Index whole = count / lanes * lanes;
    for (Index i = rank() * lanes; i < whole; i += size() * lanes) body(BlockPosition<T>{i});
    for (Index i = whole + rank(); i < count; i += size()) body(ScalarPosition<T>{i});
  }

  template <class T, class Body>
  CAPRL_HD Accumulator<T> sum(Index count, const Body& body) const {
    return reduce<T>(count, Accumulator<T>{0}, body, [](const auto& a, const auto& b) { return a + b; });
  }

  template <class T, class Body>
  CAPRL_HD Accumulator<T> max(Index count, const Body& body) const {
    return reduce<T>(count, -std::numeric_limits<Accumulator<T>>::infinity(), body,
                     [](const auto& a, const auto& b) { return maximum(a, b); });
  }

 private:
  CAPRL_HD static Index rank() {
#if defined(__CUDA_ARCH__)
    return threadIdx.x;
#else
    return 0;
#endif
  }
  CAPRL_HD static Index size() {
#if defined(__CUDA_ARCH__)
    return blockDim.x;
#else
    return 1;
#endif
  }

  /// Each thread over its own positions, then its lanes, then the warp, then the warps: one order for one block size.
  template <class T, class Body, class Combine>
  CAPRL_HD Accumulator<T> reduce(Index count, Accumulator<T> start, const Body& body, const Combine& combine) const {
    using Value = typename BlockPosition<T>::Value;
    Value lanes(start);
    Accumulator<T> own = start;
    each<T>(count, [&](auto at) {
      if constexpr (std::is_same_v<typename decltype(at)::Value, Value>) {
        lanes = combine(lanes, body(at));
      } else {
        own = combine(own, body(at));
      }
    });
    for (int i = 0; i < Value::lanes; ++i) own = combine(own, lanes.lane[i]);
    return across(own, start, combine);
  }

  template <class A, class Combine>
  CAPRL_HD static A across(A value, [[maybe_unused]] A start, [[maybe_unused]] const Combine& combine) {
#if defined(__CUDA_ARCH__)
    __shared__ A warps[32];
    const auto across_warp = [&](A own) {
      for (int distance = 16; distance > 0; distance /= 2) {
        own = combine(own, __shfl_xor_sync(0xFFFFFFFFu, own, distance));
      }
      return own;
    };
    const unsigned warp = threadIdx.x / 32;
    const unsigned lane = threadIdx.x % 32;
    value = across_warp(value);
    __syncthreads();  // the last sum's readers are done
    if (lane == 0) warps[warp] = value;
    __syncthreads();
    value = across_warp(lane < blockDim.x / 32 ? warps[lane] : start);
#endif
    return value;
  }
};

}  // namespace caprl
