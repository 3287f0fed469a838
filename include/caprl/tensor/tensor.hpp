#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/device.hpp"
#include "caprl/tensor/rows.hpp"
#include "caprl/tensor/shape.hpp"
#include "caprl/tensor/storage.hpp"

namespace caprl {

/// A handle on contiguous, row-major, 64-byte-aligned elements on one device.
///
/// Copying a tensor copies the handle, as with a shared pointer; `clone` copies the elements. Constness is that of the
/// handle. Slices along the first axis and reshapes are views of the same elements. Element type and device are part of
/// the type, so mixing them is a compile error.
template <class T, class Device = Cpu>
class Tensor {
  static_assert(std::is_trivially_copyable_v<T>, "tensor elements are plain numbers");

 public:
  using value_type = T;
  using device_type = Device;

  /// No elements, no storage: shape [0].
  Tensor() : shape_{0} {}

  /// Uninitialised.
  explicit Tensor(const Shape& shape) : shape_(shape), data_(allocate_storage<T>(Device{}, shape.elements())) {}

  static Tensor full(const Shape& shape, T value) requires std::is_same_v<Device, Cpu> {
    Tensor tensor(shape);
    std::fill_n(tensor.data(), tensor.elements(), value);
    return tensor;
  }
  static Tensor zeros(const Shape& shape) { return full(shape, T{}); }

  /// A copy of `values` with the given shape.
  static Tensor from(std::span<const T> values, const Shape& shape) requires std::is_same_v<Device, Cpu> {
    require_elements("Tensor::from", shape, static_cast<Index>(values.size()));
    Tensor tensor(shape);
    std::copy(values.begin(), values.end(), tensor.data());
    return tensor;
  }

  const Shape& shape() const { return shape_; }
  Index dim(int axis) const { return shape_[axis]; }
  Index elements() const { return shape_.elements(); }
  bool empty() const { return elements() == 0; }
  T* data() const { return data_.get(); }
  std::span<T> span() const { return {data(), static_cast<std::size_t>(elements())}; }

  /// The matrix view: all axes but the last as rows, the last as columns.
  Rows<T> rows() const { return {data(), shape_.rows(), shape_.columns(), shape_.columns()}; }

  /// Elements [begin, end) of the first axis, as a view.
  Tensor slice(Index begin, Index end) const {
    if (begin < 0 || end < begin || shape_.rank() == 0 || end > dim(0)) {
      throw Error("[Tensor::slice] expected 0 <= begin <= end <= first dimension, got [" + std::to_string(begin) +
                  ", " + std::to_string(end) + ") of " + to_string(shape_));
    }
    const Index stride = dim(0) == 0 ? 0 : elements() / dim(0);
    return Tensor(shape_.with_first(end - begin), std::shared_ptr<T[]>(data_, data_.get() + begin * stride));
  }

  /// The same elements in another shape, as a view.
  Tensor reshape(const Shape& shape) const {
    require_elements("Tensor::reshape", shape, elements());
    return Tensor(shape, data_);
  }

  /// A copy of the elements.
  Tensor clone() const requires std::is_same_v<Device, Cpu> {
    Tensor copy(shape_);
    std::copy_n(data(), elements(), copy.data());
    return copy;
  }

 private:
  Tensor(const Shape& shape, std::shared_ptr<T[]> data) : shape_(shape), data_(std::move(data)) {}

  static void require_elements(const char* operation, const Shape& shape, Index elements) {
    if (shape.elements() != elements) {
      throw Error("[" + std::string(operation) + "] expected " + std::to_string(shape.elements()) +
                  " elements for shape " + to_string(shape) + ", got " + std::to_string(elements));
    }
  }

  Shape shape_;
  std::shared_ptr<T[]> data_;
};

}  // namespace caprl
