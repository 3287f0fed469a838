#pragma once

#include "caprl/core/index.hpp"

namespace caprl {

/// Tokens that judges have read, and those that they would have read without sharing. The caller owns it, and may give
/// the same to several judges.
struct JudgeTokenCount {
  Index read = 0;
  Index repeated = 0;
};

}  // namespace caprl
