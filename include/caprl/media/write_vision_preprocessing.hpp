#pragma once

#include "caprl/io/json_file.hpp"
#include "caprl/media/load_vision_preprocessing.hpp"
#include "caprl/media/vision_preprocessing.hpp"

namespace caprl {

namespace detail {

inline void write_patch_settings(const VisionPatchSettings& patches, Json& json) {
  json["patch_size"] = patches.patch_pixels;
  json["merge_size"] = patches.merge;
  json["temporal_patch_size"] = patches.frames_per_patch;
  json["image_mean"] = patches.mean;
  json["image_std"] = patches.deviation;
}

/// What both processors have, in the fields that `load_vision_preprocessing.hpp` reads.
inline void write_resizing(const PixelBudget& budget, ResizeFilter filter, Json& json) {
  for (const char* step : {"do_resize", "do_rescale", "do_normalize", "do_convert_rgb"}) json[step] = true;
  json["size"] = {{"shortest_edge", budget.minimum}, {"longest_edge", budget.maximum}};
  json["resample"] = filter == ResizeFilter::bilinear ? 2 : 3;
}

}  // namespace detail

/// The preprocessor_config.json that says how images are prepared.
inline Json image_preprocessing_json(const ImagePreprocessing& settings) {
  Json json = {{"image_processor_type", "Qwen2VLImageProcessor"}};
  detail::write_patch_settings(settings.patches, json);
  detail::write_resizing(settings.budget, settings.filter, json);
  return json;
}

/// The video_preprocessor_config.json that says how sampled frames are; how they are sampled is the processor's
/// default.
inline Json video_preprocessing_json(const VideoPreprocessing& settings) {
  Json json = {{"video_processor_type", detail::class_name(settings.processor)}};
  detail::write_patch_settings(settings.patches, json);
  detail::write_resizing(settings.budget, settings.filter, json);
  json["cap_pixels_per_frame"] = settings.cap_pixels_per_frame;
  json["max_video_tokens"] = settings.cap_tokens;
  return json;
}

}  // namespace caprl
