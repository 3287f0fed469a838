#pragma once

// The heavy templates that caprl::precompiled holds, declared so that they are not instantiated again. Include it
// before anything else, or use it as the precompiled header of a target: see docs/architecture.md.
#include <nlohmann/json.hpp>

#include "caprl/evaluate/caption_accuracy.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/policy/any_vlm_policy.hpp"
#include "caprl/sampling/greedy.hpp"
#include "caprl/sampling/sample.hpp"
#include "caprl/train/policy_gradient.hpp"
#include "caprl/train/run.hpp"

#define CAPRL_INSTANCE extern template
CAPRL_INSTANCE class nlohmann::basic_json<>;
namespace caprl {
#include "captioners.inc"
#include "kernels.inc"
#include "models.inc"
}  // namespace caprl
#undef CAPRL_INSTANCE
