#pragma once

#include <filesystem>
#include <string>

#include "caprl/core/index.hpp"
#include "caprl/data/media_folder.hpp"
#include "caprl/model/any_vlm.hpp"
#include "world/phrases.hpp"

namespace examples {

/// What suits a captioner where no option says otherwise. The options' help tells it too.
struct CaptionerDefaults {
  double reinforce_rate = 1e-5;  ///< as CapRL++ has it (arXiv 2606.09393)
  double teach_rate = 1e-5;
  caprl::Index reinforce_tokens = 1024;
  caprl::Index caption_tokens = 1024;
  caprl::MediaPrompts prompts = {"Please describe this image in detail.", "Please describe this video in detail."};
};

/// Those of the example world for a small captioner; else those of a published checkpoint, whose adapters learn at ten
/// times the rate of its weights.
inline CaptionerDefaults captioner_defaults(const std::filesystem::path& folder, bool adapters) {
  if (caprl::vlm_model_type(folder) != "caprl_tiny_vlm") {
    return adapters ? CaptionerDefaults{.reinforce_rate = 1e-4, .teach_rate = 1e-4} : CaptionerDefaults{};
  }
  return {.reinforce_rate = 1e-4,
          .teach_rate = 2e-3,
          .reinforce_tokens = 96,
          .caption_tokens = 128,
          .prompts = {std::string(world::image_prompt), std::string(world::video_prompt)}};
}

}  // namespace examples
