#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "caprl/core/index.hpp"

namespace caprl {

/// What the draws of dropout depend on, besides the layer and the number's place: with the same seed, step and pass the
/// same numbers are dropped again.
struct DropoutPass {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t pass = 0;  ///< which of a step's micro-batches
  Index first_row = 0;     ///< of the rows that are computed, where they are a part
};

/// While it lives, layers that have dropout drop, on this thread; without one nothing is dropped, as when captions are
/// sampled or measured. The innermost counts.
class DropoutScope {
 public:
  explicit DropoutScope(std::optional<DropoutPass> pass) : enclosing_(std::exchange(innermost(), pass)) {}
  ~DropoutScope() { innermost() = enclosing_; }
  DropoutScope(const DropoutScope&) = delete;
  DropoutScope& operator=(const DropoutScope&) = delete;

  /// None where nothing is dropped.
  static const std::optional<DropoutPass>& current() { return innermost(); }

  /// The current one, if any, for a step's micro-batch of this number.
  static std::optional<DropoutPass> of_pass(std::uint32_t pass) {
    auto changed = current();
    if (changed) changed->pass = pass;
    return changed;
  }
  /// The current one, if any, for a part that begins at this row.
  static std::optional<DropoutPass> of_rows_from(Index first_row) {
    auto changed = current();
    if (changed) changed->first_row = first_row;
    return changed;
  }

 private:
  static std::optional<DropoutPass>& innermost() {
    thread_local std::optional<DropoutPass> pass;
    return pass;
  }

  std::optional<DropoutPass> enclosing_;
};

}  // namespace caprl
