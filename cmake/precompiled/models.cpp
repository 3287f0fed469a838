#include "precompiled.hpp"

#define CAPRL_INSTANCE template
template class nlohmann::basic_json<>;
namespace caprl {
#include "models.inc"
}  // namespace caprl
