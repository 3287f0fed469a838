#pragma once

#include <vector>

#include "caprl/data/item.hpp"
#include "caprl/data/read_media.hpp"
#include "caprl/frames/frame_sampler.hpp"
#include "caprl/frames/read_clip.hpp"
#include "caprl/media/clip.hpp"
#include "caprl/media/read_image.hpp"

namespace caprl {

/// Reads the media of an item: images as clips of one frame, videos as the frames that the sampler chooses.
template <FrameSampler Sampler>
struct LoadMedia {
  Sampler sampler;
  ImageSize frame_size{};  ///< to which frames are scaled while reading; zero by zero: as stored

  std::vector<Clip> operator()(const CaptionItem& item) const {
    std::vector<Clip> clips;
    for (const MediaFile& file : item.media) {
      if (file.kind == MediaKind::image) {
        clips.push_back(clip_of(read_media(item, [&] { return read_image(file.path); })));
      } else {
        clips.push_back(read_media(item, [&] { return read_clip(file.path.string(), sampler, frame_size); }));
      }
    }
    return clips;
  }
};

}  // namespace caprl
