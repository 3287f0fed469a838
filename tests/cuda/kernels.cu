// Launches every kernel that is written once, for float and bf16. Compiled wherever the CUDA toolkit is found, so that
// "written once" stays true on machines that have no GPU.
#include <span>

#include "caprl/tensor/cuda/launch.cuh"
#include "caprl/tensor/kernels/adamw.hpp"
#include "caprl/tensor/kernels/column_sum.hpp"
#include "caprl/tensor/kernels/elementwise.hpp"
#include "caprl/tensor/kernels/gather.hpp"
#include "caprl/tensor/kernels/gelu.hpp"
#include "caprl/tensor/kernels/head_norm.hpp"
#include "caprl/tensor/kernels/rms_norm.hpp"
#include "caprl/tensor/kernels/rotary.hpp"
#include "caprl/tensor/kernels/softmax.hpp"
#include "caprl/tensor/kernels/squared_norm.hpp"
#include "caprl/tensor/kernels/swiglu.hpp"

namespace caprl::cuda_test {

/// Device memory; every view has the same shape.
template <class T>
struct Buffers {
  Rows<T> x, y, z;
  T* gain;
  Accumulator<T>* first;
  Accumulator<T>* second;
  Rows<float> angles;
  Index* ids;
  double* sums;
};

template <class T>
void launch_norms(Cuda device, const Buffers<T>& on) {
  rms_norm(device, on.x, on.gain, 1e-6f, on.y, on.first);
  rms_norm_backward(device, on.x, on.gain, on.first, on.y, on.z, true, on.gain);
  head_norm(device, on.x, 64, on.gain, 1e-6f, on.y, on.first);
  head_norm_backward(device, on.x, 64, on.gain, on.first, on.y, on.z, on.gain);
}

template <class T>
void launch_activations(Cuda device, const Buffers<T>& on) {
  swiglu(device, on.x, on.y, on.z);
  swiglu_backward(device, on.x, on.y, on.z, on.x, on.y);
  gelu(device, GeluForm::exact, on.x, on.y);
  gelu_backward(device, GeluForm::tanh, on.x, on.y, on.z);
  rotary(device, Turn::forward, on.angles, on.angles, on.x, on.y);
  log_softmax(device, 0.5f, on.x, on.y);
}

template <class T>
void launch_rows_kernels(Cuda device, const Buffers<T>& on) {
  add(device, on.x, on.y, on.z);
  add_into(device, on.x, on.z);
  add_bias(device, on.x, on.gain, on.z);
  copy_rows(device, on.x, on.z);
  add_column_sums(device, on.x, on.gain);
  launch_rows(device, on.x.rows, kernels::GatherRows<T, Index>{on.x, on.ids, on.y}, on.x.columns);
  launch_rows(device, 1, kernels::AddGroups<T, T>{on.ids, on.ids, on.ids, on.x, on.y}, on.x.columns);
  const Index count = on.x.rows * on.x.columns;
  launch_rows(device, 1, kernels::SquaredNormBlocks<T>{on.x.data, count, on.sums}, count);
  adamw(device, AdamWStep{}, on.x.data, on.y.data, on.first, on.second, count);
}

template void launch_norms<float>(Cuda, const Buffers<float>&);
template void launch_norms<bf16>(Cuda, const Buffers<bf16>&);
template void launch_activations<float>(Cuda, const Buffers<float>&);
template void launch_activations<bf16>(Cuda, const Buffers<bf16>&);
template void launch_rows_kernels<float>(Cuda, const Buffers<float>&);
template void launch_rows_kernels<bf16>(Cuda, const Buffers<bf16>&);

}  // namespace caprl::cuda_test
