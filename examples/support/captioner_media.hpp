#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <optional>
#include <variant>
#include <vector>

#include "caprl/data/load_media.hpp"
#include "caprl/frames/fixed_rate.hpp"
#include "caprl/frames/load_qwen_frames.hpp"
#include "caprl/io/json_file.hpp"
#include "caprl/model/any_vlm.hpp"

/// What a captioner of any architecture sees of images and videos.
namespace examples {

/// Asked for in place of what the captioner's folder says.
struct FrameOptions {
  std::optional<double> frames_per_second = {};
  std::optional<caprl::Index> maximum = {};
};

/// Of a small captioner, whose folder says nothing of frames.
inline caprl::FixedRate small_captioner_frames() { return {.frames_per_second = 1, .minimum = 1, .maximum = 16}; }

inline void add_frame_options(CLI::App& app, FrameOptions& options) {
  app.add_option("--frames-per-second", options.frames_per_second,
                 "That the captioner sees of a video (default: as the model's processor; 1 for a small captioner)")
      ->check(CLI::PositiveNumber);
  app.add_option("--maximum-frames", options.maximum,
                 "That the captioner sees of a video (default: as the model's processor; 16 for a small captioner)")
      ->check(CLI::PositiveNumber);
}

/// One of the frame samplers, chosen when the program runs.
struct CaptionerFrames {
  std::variant<caprl::FixedRate, caprl::Qwen2VlFrames, caprl::Qwen3VlFrames> sampler;

  std::vector<caprl::Index> operator()(const caprl::VideoTimeline& timeline, caprl::FrameLook& look) const {
    return std::visit([&](const auto& frames) { return frames(timeline, look); }, sampler);
  }
  /// For runs that may not go on with other frames.
  caprl::Json recorded() const {
    return std::visit(
        [](const auto& frames) {
          caprl::Json json = {{"frames_per_second", frames.frames_per_second},
                              {"minimum_frames", frames.minimum},
                              {"maximum_frames", frames.maximum}};
          if constexpr (requires { frames.frames; }) {
            if (frames.frames) json["frames"] = *frames.frames;
          }
          return json;
        },
        sampler);
  }
};

/// A captioner's own sampling of frames, with what was asked for in its place.
template <caprl::FrameSampler Frames>
Frames asked_frames(Frames frames, const FrameOptions& options) {
  if (options.frames_per_second) frames.frames_per_second = *options.frames_per_second;
  if (options.maximum) {
    frames.maximum = *options.maximum;
    frames.minimum = std::min(frames.minimum, frames.maximum);
  }
  if constexpr (requires { frames.frames; }) {  // a fixed number, which would go before both
    if (options.frames_per_second || options.maximum) frames.frames.reset();
  }
  return frames;
}

using CaptionerMedia = caprl::LoadMedia<CaptionerFrames>;

/// What the captioner in `folder` sees: a small one a frame a second, at most 16, at its own size.
inline CaptionerMedia captioner_media(const caprl::AnyVlm<float>& captioner, const std::filesystem::path& folder,
                                      const FrameOptions& options) {
  struct Media {
    const std::filesystem::path& folder;
    const FrameOptions& options;
    CaptionerMedia operator()(const caprl::TinyVlm<float>& model) const {
      const caprl::Index side = model.settings.vision.image_size;
      return {{asked_frames(small_captioner_frames(), options)}, {side, side}};
    }
    CaptionerMedia operator()(const caprl::Qwen25Vl<float>&) const {
      return {{asked_frames(caprl::load_qwen2_vl_frames(folder), options)}};
    }
    CaptionerMedia operator()(const caprl::Qwen3Vl<float>&) const {
      return {{asked_frames(caprl::load_qwen3_vl_frames(folder), options)}};
    }
  };
  return captioner.visit_model(Media{folder, options});
}

}  // namespace examples
