#pragma once

#include <utility>
#include <vector>

#include "caprl/media/image.hpp"

namespace caprl {

/// One frame of a video and the time at which it is shown, in seconds after the video's first frame.
struct Frame {
  Image image;
  double seconds = 0;
};

/// What a policy sees of a video: the sampled frames in order of time, and how long the whole video is.
struct Clip {
  std::vector<Frame> frames;
  double duration_seconds = 0;
};

/// A picture as a clip: one frame, which lasts no time.
inline Clip clip_of(Image image) { return {{{std::move(image), 0.0}}, 0.0}; }

}  // namespace caprl
