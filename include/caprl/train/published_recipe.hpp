#pragma once

#include "caprl/judge/published_faults.hpp"
#include "caprl/train/trainer.hpp"

namespace caprl {

/// CapRL++'s advantages (arXiv 2606.09393): every spread of rewards counts, however small.
inline Rloo published_estimator() { return {.spread_floor = 0}; }

/// The settings of CapRL++'s stages (arXiv 2606.09393) for a Trainer with `published_estimator()`: 128 prompts x 8
/// captions a step, one update, clip 0.2, no KL, the mean over a caption's tokens and then over captions, learning rate
/// 1e-5 after 20 steps of warm-up, and what becomes of truncated captions by `faults`. Folder and number of steps are
/// left to the caller.
inline TrainerSettings published_trainer_settings(const PublishedFaults& faults = published()) {
  TrainerSettings settings;
  settings.batch_items = 128;
  settings.samples = 8;
  settings.maximum_tokens = 4096;
  settings.truncated = truncated_rule(faults);
  settings.run.learning_rate = {.peak = 1e-5, .warmup_steps = 20};
  return settings;
}

}  // namespace caprl
