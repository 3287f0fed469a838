#pragma once

#include <string>

#include "support/reinforce_options.hpp"

namespace examples {

/// The main job, for images and for videos: reinforces a captioner with an exact judge's rewards, measures it before
/// and after on held-out items, and writes the report. `name` is "image" or "video".
void reinforce(ReinforceOptions options, const std::string& name);

}  // namespace examples
