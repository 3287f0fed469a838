#pragma once

#include <concepts>
#include <cstdint>
#include <vector>

#include "caprl/core/index.hpp"
#include "caprl/media/video_timeline.hpp"

namespace caprl {

/// The brightness of a frame on a coarse grid: `luma` is [height, width], 0 black to 255 white.
struct Thumbnail {
  Index height = 0;
  Index width = 0;
  std::vector<std::uint8_t> luma;
};

/// Shows a sampler what a frame looks like, for those that must know. A look decodes, so it is slow next to the
/// timeline; looks in rising order are the quickest. A clip's thumbnails all have one size.
class FrameLook {
 public:
  FrameLook() = default;
  FrameLook(const FrameLook&) = delete;
  FrameLook& operator=(const FrameLook&) = delete;
  virtual ~FrameLook() = default;

  virtual Thumbnail operator()(Index frame) = 0;
};

/// A frame sampler chooses which frames of a video the policy sees.
///
/// Required: called, as a constant, with the video's timeline and a look at its frames, it gives the chosen frames'
/// numbers as `std::vector<Index>`.
///
/// Laws, for a timeline that is not empty:
/// - the numbers rise strictly, and lie in [0, timeline.frames());
/// - at least one frame is chosen, and never more than the sampler's own maximum where it has one;
/// - the same video and settings give the same frames.
template <class S>
concept FrameSampler = requires(const S& sampler, const VideoTimeline& timeline, FrameLook& look) {
  { sampler(timeline, look) } -> std::same_as<std::vector<Index>>;
};

}  // namespace caprl
