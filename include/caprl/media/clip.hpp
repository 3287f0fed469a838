#pragma once

#include <utility>
#include <vector>

#include "caprl/media/image.hpp"

namespace caprl {

/// One frame of a video, the time at which it is shown, in seconds after the video's first frame, and its number.
struct Frame {
  Image image;
  double seconds = 0;
  Index number = 0;  ///< in the whole video, from 0; of use where the clip knows its video's rate
};

/// What a policy sees of a video: the sampled frames in order of time, and how long the whole video is.
struct Clip {
  std::vector<Frame> frames;
  double duration_seconds = 0;
  Index video_frames = 0;        ///< of the whole video; 0 where unknown
  double frames_per_second = 0;  ///< the whole video's average rate; 0 where unknown
};

/// A picture as a clip: one frame, which lasts no time.
inline Clip clip_of(Image image) { return {{{std::move(image), 0.0}}, 0.0}; }

}  // namespace caprl
