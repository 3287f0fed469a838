#pragma once

#include <cstdint>

namespace caprl {

/// A count of elements, rows or bytes, and a position among them. Signed, so that differences are safe.
using Index = std::int64_t;

/// A vocabulary id.
using Token = std::int32_t;

}  // namespace caprl
