#include "precompiled.hpp"

#define CAPRL_INSTANCE template
namespace caprl {
#include "kernels.inc"
}  // namespace caprl
