#pragma once

#include <algorithm>
#include <bit>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/hash.hpp"
#include "caprl/media/clip.hpp"
#include "caprl/media/resize.hpp"
#include "caprl/media/smart_resize.hpp"
#include "caprl/media/vision_input.hpp"
#include "caprl/media/vision_patches.hpp"

namespace caprl {

/// How images become what a model reads: Qwen2VLImageProcessor of transformers 5.24, the image processor of Qwen2-VL,
/// Qwen2.5-VL and Qwen3-VL, with that class' own values where a model's configuration says nothing.
struct ImagePreprocessing {
  VisionPatchSettings patches;
  PixelBudget budget = {56 * 56, 28 * 28 * 1280};  ///< of a picture
  ResizeFilter filter = ResizeFilter::bicubic;
  ResizeWeights weights = ResizeWeights::torchvision;
};

/// Whose rules a video follows.
enum class VideoProcessor {
  qwen2_vl,  ///< Qwen2VLVideoProcessor (Qwen2-VL, Qwen2.5-VL): the budget is of each frame; the prompt tells no times
  qwen3_vl   ///< Qwen3VLVideoProcessor: the budget is of all frames together; the prompt tells the times
};

/// How sampled frames become what a model reads: the video processors of transformers 5.24. The members' initial values
/// are those of Qwen2VLVideoProcessor.
struct VideoPreprocessing {
  VideoProcessor processor = VideoProcessor::qwen2_vl;
  VisionPatchSettings patches;
  PixelBudget budget = {128 * 28 * 28, 768 * 28 * 28};
  /// Whether long videos have fewer pixels a frame, and short ones no more than they need (`cap_pixels_per_frame`).
  bool cap_pixels_per_frame = false;
  Index cap_tokens = 128000;  ///< of all frames (qwen2_vl) or of one (qwen3_vl), for that cap (`max_video_tokens`)
  ResizeFilter filter = ResizeFilter::bicubic;
  ResizeWeights weights = ResizeWeights::torchvision;

  /// The class' own values.
  static VideoPreprocessing of(VideoProcessor processor) {
    VideoPreprocessing settings;
    if (processor == VideoProcessor::qwen2_vl) return settings;
    settings.processor = processor;
    settings.patches = {.patch_pixels = 16, .mean = {0.5f, 0.5f, 0.5f}, .deviation = {0.5f, 0.5f, 0.5f}};
    settings.budget = {128 * 32 * 32, 768 * 32 * 32};
    settings.cap_tokens = 768;
    return settings;
  }
};

/// The size to which the frames of a video are resized. Throws what `smart_resize` and `smart_resize_video` throw.
inline ImageSize video_frame_size(Index frames, ImageSize size, const VideoPreprocessing& settings,
                                  const std::string& name) {
  require(frames >= 1, "[video_frame_size] expected at least one frame, got none", name);
  const Index factor = settings.patches.factor(), of_a_token = factor * factor;
  PixelBudget budget = settings.budget;
  const auto least = static_cast<Index>(static_cast<double>(budget.minimum) * 1.05);
  if (settings.processor == VideoProcessor::qwen2_vl) {
    if (settings.cap_pixels_per_frame) {
      const auto total = static_cast<Index>(static_cast<double>(settings.cap_tokens * of_a_token) * 0.9);
      const Index share = total * settings.patches.frames_per_patch / frames;
      budget.maximum = std::max(std::min(budget.maximum, share), least);
    }
    return smart_resize(size, factor, budget, name);
  }
  if (settings.cap_pixels_per_frame) {
    const Index share = std::min(settings.cap_tokens * of_a_token, budget.maximum / frames);
    budget.maximum = std::max(share, least) * frames;
  }
  return smart_resize_video(frames, size, settings.patches.frames_per_patch, factor, budget, name);
}

namespace detail {

/// The time of each frame: its number by the video's average rate, as the processors have it; where the clip does not
/// know these, the time at which it is shown.
inline std::vector<double> frame_times(const Clip& clip) {
  std::vector<double> seconds;
  for (const Frame& frame : clip.frames) {
    seconds.push_back(clip.frames_per_second > 0 ? static_cast<double>(frame.number) / clip.frames_per_second
                                                 : frame.seconds);
  }
  return seconds;
}

/// Time from one patch to the next, by the average rate of the sampled frames (`second_per_grid_ts` of
/// Qwen2_5_VLProcessor).
inline double seconds_per_patch(const Clip& clip, Index frames_per_patch, const std::string& name) {
  const auto sampled = static_cast<double>(clip.frames.size());
  const double rate = clip.frames_per_second > 0 && clip.video_frames > 0
                          ? sampled / static_cast<double>(clip.video_frames) * clip.frames_per_second
                          : sampled / clip.duration_seconds;
  if (rate > 0 && rate < 1e9) return static_cast<double>(frames_per_patch) / rate;
  throw Error("[preprocess_video] expected a clip that knows its video's length, got one of " +
                  std::to_string(clip.duration_seconds) + " seconds",
              name, "set duration_seconds, or frames_per_second and video_frames");
}

/// Resizes one frame after the other and writes its patches; the pixels go into `hash`.
class FramesToPatches {
 public:
  FramesToPatches(ImageSize from, ImageSize to, const VisionPatchSettings& patches, ResizeFilter filter,
                  ResizeWeights weights)
      : resizer_(from, to, filter, weights), patches_(patches) {}

  /// The frames of one time step, at most as many as a patch has.
  void operator()(std::span<const Image* const> frames, Rows<float> rows, Fnv1a& hash) const {
    std::vector<Image> resized;
    for (const Image* frame : frames) {
      resized.push_back(resizer_(*frame));
      hash.add(resized.back().rgb);
    }
    write_vision_patches(resized, patches_, rows);
  }

 private:
  Resizer resizer_;
  VisionPatchSettings patches_;
};

inline void add_to_hash(const VisionGrid& grid, Fnv1a& hash) {
  for (const Index side : {grid.times, grid.height, grid.width}) hash.add(static_cast<std::uint64_t>(side));
}

}  // namespace detail

/// An image as a model reads it. Throws, naming it, where its shape is impossible.
inline VisionInput preprocess_image(const Image& image, const ImagePreprocessing& settings, std::string name) {
  const VisionPatchSettings& patches = settings.patches;
  const ImageSize size = smart_resize(image.size(), patches.factor(), settings.budget, name);
  VisionInput input;
  input.grid = vision_grid(1, size, patches);
  input.merge = patches.merge;
  input.patches = Tensor<float>({input.grid.patches(), patches.columns()});
  Fnv1a hash;
  detail::add_to_hash(input.grid, hash);
  const Image* frame = &image;
  detail::FramesToPatches(image.size(), size, patches, settings.filter, settings.weights)({&frame, 1},
                                                                                          input.patches.rows(), hash);
  input.hash = hash.value();
  input.name = std::move(name);
  return input;
}

/// A video's sampled frames as a model reads them. Throws, naming the video, where it has no frames, frames of several
/// sizes or of an impossible shape, or (qwen2_vl) does not know how long it is.
inline VisionInput preprocess_video(const Clip& clip, const VideoPreprocessing& settings, std::string name) {
  require(!clip.frames.empty(), "[preprocess_video] expected at least one frame, got none", name);
  const VisionPatchSettings& patches = settings.patches;
  const auto frames = static_cast<Index>(clip.frames.size());
  const ImageSize from = clip.frames[0].image.size();
  for (const Frame& frame : clip.frames) {
    require(frame.image.size() == from, "[preprocess_video] expected frames of one size, got several", name);
  }
  const ImageSize to = video_frame_size(frames, from, settings, name);
  VisionInput input;
  input.is_video = true;
  input.grid = vision_grid(frames, to, patches);
  input.merge = patches.merge;
  input.patches = Tensor<float>({input.grid.patches(), patches.columns()});
  if (settings.processor == VideoProcessor::qwen3_vl) {
    input.time_stamps = patch_times(detail::frame_times(clip), patches.frames_per_patch);
  } else {
    input.seconds_per_patch = detail::seconds_per_patch(clip, patches.frames_per_patch, name);
  }
  Fnv1a hash;
  detail::add_to_hash(input.grid, hash);
  hash.add(std::bit_cast<std::uint64_t>(input.seconds_per_patch));  // positions follow it
  const detail::FramesToPatches write(from, to, patches, settings.filter, settings.weights);
  const Index rows = input.grid.height * input.grid.width;
  for (Index time = 0; time < input.grid.times; ++time) {
    const Index first = time * patches.frames_per_patch, last = std::min(first + patches.frames_per_patch, frames);
    std::vector<const Image*> shown;
    for (Index f = first; f < last; ++f) shown.push_back(&clip.frames[static_cast<std::size_t>(f)].image);
    write(shown, input.patches.rows().rows_between(time * rows, (time + 1) * rows), hash);
  }
  input.hash = hash.value();
  input.name = std::move(name);
  return input;
}

}  // namespace caprl
