#pragma once

#include <cmath>

namespace caprl::testing {

/// The larger of two numbers; NaN if one of them is, where `std::max` would keep the other. So a largest difference
/// that was no number never passes a bound.
inline double larger(double a, double b) { return a >= b || std::isnan(a) ? a : b; }

}  // namespace caprl::testing
