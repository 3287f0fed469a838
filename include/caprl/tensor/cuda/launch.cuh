#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <memory>
#include <string>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/cuda/block_team.cuh"

namespace caprl {

/// A GPU's stream, as the device argument of the functions that launch kernels.
struct Cuda {
  cudaStream_t stream = nullptr;
};

/// Device memory in the order of the default stream, given back when the last handle goes. Throws Error if there is
/// none.
template <class T>
std::shared_ptr<T[]> allocate_storage(Cuda device, Index count) {
  void* block = nullptr;
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
  if (const cudaError_t status = cudaMallocAsync(&block, bytes, device.stream); status != cudaSuccess) {
    throw Error("[allocate_storage] no " + std::to_string(bytes) +
                " bytes: " + std::string(cudaGetErrorString(status)));
  }
  return std::shared_ptr<T[]>(static_cast<T*>(block), [device](T* data) { cudaFreeAsync(data, device.stream); });
}

namespace detail {

template <class Kernel>
__global__ void run_rows(Kernel kernel) {
  kernel(BlockTeam{}, static_cast<Index>(blockIdx.x));
}

}  // namespace detail

/// Runs kernel(team, row) for every row in [0, rows), a block to a row. `work_per_row`, the number of elements that a
/// row touches, sets the size of the block. Throws Error if the launch fails; errors in the kernel show later.
template <class Kernel>
void launch_rows(Cuda device, Index rows, const Kernel& kernel, Index work_per_row) {
  constexpr Index warp = 32;
  constexpr Index elements_per_thread = 8;
  if (rows == 0) return;
  const Index warps = std::clamp<Index>(work_per_row / (elements_per_thread * warp), 1, 16);
  detail::run_rows<<<static_cast<unsigned>(rows), static_cast<unsigned>(warps * warp), 0, device.stream>>>(kernel);
  if (const cudaError_t status = cudaGetLastError(); status != cudaSuccess) {
    throw Error("[launch_rows] the kernel did not start: " + std::string(cudaGetErrorString(status)));
  }
}

}  // namespace caprl
