#pragma once

#include <filesystem>
#include <optional>

#include "caprl/frames/qwen_frames.hpp"
#include "caprl/io/json_fields.hpp"
#include "caprl/media/load_vision_preprocessing.hpp"

namespace caprl {

namespace detail {

/// The settings that both samplers have: fps, min_frames, max_frames and num_frames; null means absent.
template <class Sampler>
Sampler read_frame_limits(const JsonFields& fields) {
  constexpr Index largest = Index{1} << 24;
  Sampler sampler;
  sampler.minimum = positive_or(fields, "min_frames", sampler.minimum, largest);
  sampler.maximum = positive_or(fields, "max_frames", sampler.maximum, largest);
  if (sampler.minimum > sampler.maximum) throw fields.error("min_frames", "expected no more than max_frames");
  if (fields.has("fps") && fields.has("num_frames")) throw fields.error("fps", "expected fps or num_frames, got both");
  sampler.frames_per_second = fields.get_or<double>("fps", sampler.frames_per_second);
  if (!(sampler.frames_per_second > 0)) throw fields.error("fps", "expected a number above 0");
  if (fields.has("num_frames")) sampler.frames = positive_or(fields, "num_frames", 1, largest);
  return sampler;
}

}  // namespace detail

/// How a model folder's videos are sampled (see `load_video_preprocessing` for the files). Where these say no rate, as
/// those published with Qwen2.5-VL, it is 2 frames a second.
inline Qwen2VlFrames load_qwen2_vl_frames(const std::filesystem::path& folder) {
  return detail::read_processor(folder, detail::video_processor_files(), [](const JsonFields& fields) {
    auto sampler = detail::read_frame_limits<Qwen2VlFrames>(fields);
    sampler.frames_per_patch = detail::read_patch_settings(fields, {}).frames_per_patch;
    return sampler;
  });
}

inline Qwen3VlFrames load_qwen3_vl_frames(const std::filesystem::path& folder) {
  return detail::read_processor(folder, detail::video_processor_files(), detail::read_frame_limits<Qwen3VlFrames>);
}

}  // namespace caprl
