#pragma once

#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/frames/frame_sampler.hpp"
#include "caprl/media/clip.hpp"
#include "caprl/media/read_video.hpp"

namespace caprl {

/// Looks at a video file's frames through its reader, as thumbnails of 32 x 32.
class VideoLook final : public FrameLook {
 public:
  explicit VideoLook(VideoReader& reader) : reader_(reader) {}

  Thumbnail operator()(Index frame) override {
    constexpr Index side = 32;
    const Image image = reader_.frame(frame, {side, side});
    Thumbnail thumbnail{side, side, std::vector<std::uint8_t>(static_cast<std::size_t>(side * side))};
    for (std::size_t i = 0; i < thumbnail.luma.size(); ++i) {
      const std::uint8_t* rgb = &image.rgb[i * 3];  // the weights are those of BT.601
      thumbnail.luma[i] = static_cast<std::uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
    return thumbnail;
  }

 private:
  VideoReader& reader_;
};

/// Throws unless the frames that a sampler chose keep its laws: at least one, rising strictly, within the video.
inline void check_sampled_frames(const std::vector<Index>& chosen, const VideoTimeline& timeline,
                                 const std::string& path) {
  require(!chosen.empty(), "[read_clip] expected a sampler that chooses at least one frame, got none", path);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const bool rises = i == 0 || chosen[i] > chosen[i - 1];
    if (rises && chosen[i] >= 0 && chosen[i] < timeline.frames()) continue;
    throw Error("[read_clip] expected a sampler whose frames rise strictly within [0, " +
                    std::to_string(timeline.frames()) + "), got " + std::to_string(chosen[i]) + " as choice " +
                    std::to_string(i),
                path);
  }
}

/// The frames of a video file that a sampler chooses, each `target` pixels in height and width (zero by zero: as
/// stored). Throws what `VideoReader` throws, and on a sampler that breaks its laws.
template <FrameSampler Sampler>
Clip read_clip(VideoReader& reader, const Sampler& sampler, ImageSize target = {}) {
  VideoLook look(reader);
  const std::vector<Index> chosen = sampler(reader.timeline(), look);
  check_sampled_frames(chosen, reader.timeline(), reader.path());
  const VideoTimeline& timeline = reader.timeline();
  Clip clip{{}, timeline.duration_seconds, timeline.frames(), timeline.frames_per_second};
  clip.frames.reserve(chosen.size());
  reader.for_each_frame(
      chosen,
      [&](Index number, double seconds, Image& image) {
        clip.frames.push_back({std::move(image), seconds, number});
      },
      target);
  return clip;
}

template <FrameSampler Sampler>
Clip read_clip(const std::string& path, const Sampler& sampler, ImageSize target = {},
               const VideoSettings& settings = {}) {
  VideoReader reader(path, settings);
  return read_clip(reader, sampler, target);
}

}  // namespace caprl
