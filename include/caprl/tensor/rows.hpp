#pragma once

#include <type_traits>

#include "caprl/core/host_device.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

/// A view of a matrix whose rows are contiguous and `pitch` elements apart. What every kernel takes: a column block of
/// a fused product (q, k, v; gate, up) is such a view, and nothing is copied.
template <class T>
struct Rows {
  T* data = nullptr;
  Index rows = 0;
  Index columns = 0;
  Index pitch = 0;

  CAPRL_HD T* row(Index r) const { return data + r * pitch; }
  CAPRL_HD T& operator()(Index r, Index c) const { return data[r * pitch + c]; }

  /// Columns [begin, end).
  CAPRL_HD Rows columns_between(Index begin, Index end) const { return {data + begin, rows, end - begin, pitch}; }
  /// Rows [begin, end).
  CAPRL_HD Rows rows_between(Index begin, Index end) const {
    return {data + begin * pitch, end - begin, columns, pitch};
  }

  CAPRL_HD operator Rows<const T>() const requires(!std::is_const_v<T>) { return {data, rows, columns, pitch}; }
};

}  // namespace caprl
