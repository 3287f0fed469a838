#pragma once

#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/data/item.hpp"
#include "caprl/data/read_media.hpp"
#include "caprl/media/clip.hpp"
#include "caprl/media/read_image.hpp"

namespace caprl {

/// Reads the images of an item, each as a clip of one frame. For data without videos; needs no libav.
struct LoadImages {
  std::vector<Clip> operator()(const CaptionItem& item) const {
    std::vector<Clip> clips;
    for (const MediaFile& file : item.media) {
      if (file.kind != MediaKind::image) {
        throw Error("[LoadImages] expected an image, got a video", item.where, "use LoadMedia with a frame sampler");
      }
      clips.push_back(clip_of(read_media(item, [&] { return read_image(file.path); })));
    }
    return clips;
  }
};

}  // namespace caprl
