#pragma once

#include <string>
#include <type_traits>

#include "caprl/core/error.hpp"
#include "caprl/tensor/rows.hpp"

namespace caprl {

/// What a function reads. Not deduced, so that views of const and non-const elements both convert to it; the element
/// type comes from what the function writes.
template <class T>
using ConstRows = std::type_identity_t<Rows<const T>>;

namespace detail {

template <class T>
std::string shape_text(const Rows<T>& view) {
  std::string text = "[";  // in steps: g++ 12 warns about "[" + std::to_string(...) at -O3, wrongly (its bug 105651)
  text += std::to_string(view.rows);
  text += ", ";
  text += std::to_string(view.columns);
  return text += "]";
}

/// Throws unless the matrix has this shape.
template <class T>
void require_matrix(const char* operation, const char* name, const Rows<T>& matrix, Index rows, Index columns) {
  if (matrix.rows != rows || matrix.columns != columns) {
    const Rows<T> expected{nullptr, rows, columns, columns};
    throw Error("[" + std::string(operation) + "] expected " + name + " " + shape_text(expected) + ", got " +
                shape_text(matrix));
  }
}

/// Throws unless both views have the same shape.
template <class T, class U>
void require_same_shape(const char* operation, const Rows<T>& expected, const Rows<U>& got) {
  if (expected.rows != got.rows || expected.columns != got.columns) {
    throw Error("[" + std::string(operation) + "] expected " + shape_text(expected) + ", got " + shape_text(got));
  }
}

}  // namespace detail

}  // namespace caprl
