#pragma once

#include "caprl/core/host_device.hpp"
#include "caprl/tensor/convolution.hpp"
#include "caprl/tensor/kernels/views.hpp"
#include "caprl/tensor/rows.hpp"

/// The patches that a convolution looks at, as rows of a matrix, so that the convolution is a matrix product. Images
/// are rows of features: pixel (y, x) of image n is row (n H + y) W + x, C columns.
namespace caprl {

namespace kernels {

/// One output pixel's patch: out row [kernel * kernel * C], kernel row after kernel row.
template <class T>
struct Unfold {
  Convolution shape;
  Rows<const T> x;  ///< [N * H * W, C]
  Rows<T> patches;  ///< [N * out_height * out_width, kernel * kernel * C]

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const Index out_x = row % shape.out_width();
    const Index out_y = row / shape.out_width() % shape.out_height();
    const Index image = row / (shape.out_width() * shape.out_height());
    T* out = patches.row(row);
    for (Index tap = 0; tap < shape.kernel * shape.kernel; ++tap, out += x.columns) {
      const Index in_y = out_y * shape.stride + tap / shape.kernel - shape.padding;
      const Index in_x = out_x * shape.stride + tap % shape.kernel - shape.padding;
      const bool inside = in_y >= 0 && in_y < shape.height && in_x >= 0 && in_x < shape.width;
      if (inside) {
        const T* in = x.row((image * shape.height + in_y) * shape.width + in_x);
        team.template each<T>(x.columns, [&](auto at) { at.store(out, at(in)); });
      } else {
        team.template each<T>(x.columns, [&](auto at) { at.store(out, decltype(at(out))(0)); });
      }
    }
  }
};

/// The gradient: each input pixel gathers from the patches that it is in, in a fixed order.
template <class T>
struct UnfoldBackward {
  Convolution shape;
  Rows<const T> d_patches;
  Rows<T> dx;  ///< replaced

  template <class Team>
  CAPRL_HD void operator()(const Team& team, Index row) const {
    const Index in_x = row % shape.width;
    const Index in_y = row / shape.width % shape.height;
    const Index image = row / (shape.width * shape.height);
    T* to = dx.row(row);
    team.template each<T>(dx.columns, [&](auto at) { at.store(to, decltype(at(to))(0)); });
    for (Index tap = 0; tap < shape.kernel * shape.kernel; ++tap) {
      const Index y = in_y + shape.padding - tap / shape.kernel;
      const Index x = in_x + shape.padding - tap % shape.kernel;
      if (y < 0 || x < 0 || y % shape.stride != 0 || x % shape.stride != 0) continue;
      if (y / shape.stride >= shape.out_height() || x / shape.stride >= shape.out_width()) continue;
      const Index patch = (image * shape.out_height() + y / shape.stride) * shape.out_width() + x / shape.stride;
      const T* from = d_patches.row(patch) + tap * dx.columns;
      team.template each<T>(dx.columns, [&](auto at) { at.store(to, at(to) + at(from)); });
    }
  }
};

}  // namespace kernels

namespace detail {

template <class T, class U>
void require_unfold(const char* operation, const Convolution& shape, const Rows<T>& pixels, const Rows<U>& patches) {
  const Index images = pixels.rows / (shape.height * shape.width);
  require_same_shape(operation,
                     Rows<U>{nullptr, images * shape.out_height() * shape.out_width(),
                             shape.kernel * shape.kernel * pixels.columns, 0},
                     patches);
  require_same_shape(operation, Rows<T>{nullptr, images * shape.height * shape.width, pixels.columns, 0}, pixels);
}

}  // namespace detail

/// patches [N * out_height * out_width, kernel * kernel * C] of x [N * H * W, C].
template <class Device, class T>
void unfold(Device device, const Convolution& shape, ConstRows<T> x, Rows<T> patches) {
  detail::require_unfold("unfold", shape, x, patches);
  launch_rows(device, patches.rows, kernels::Unfold<T>{shape, x, patches}, patches.columns);
}

/// Replaces dx.
template <class Device, class T>
void unfold_backward(Device device, const Convolution& shape, ConstRows<T> d_patches, Rows<T> dx) {
  detail::require_unfold("unfold_backward", shape, dx, d_patches);
  launch_rows(device, dx.rows, kernels::UnfoldBackward<T>{shape, d_patches, dx}, dx.columns * 4);
}

}  // namespace caprl
