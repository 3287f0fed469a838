#include "precompiled.hpp"

#define CAPRL_INSTANCE template
namespace caprl {
#include "captioners.inc"
}  // namespace caprl
