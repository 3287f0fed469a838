#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/media/vision_grid.hpp"
#include "caprl/tensor/tensor.hpp"
#include "caprl/text/chat_template.hpp"
#include "caprl/text/special_tokens.hpp"

namespace caprl {

/// What a picture or video became: all that a model and its prompt need to know of it.
struct VisionInput {
  std::string name = {};  ///< of the picture or video, for errors
  bool is_video = false;
  VisionGrid grid = {};
  Index merge = 1;             ///< merge x merge patches become one token
  Tensor<float> patches = {};  ///< [grid.patches(), 3 * frames per patch * patch * patch], in the order of `VisionGrid`
  /// Equal for equal pixels after resizing, shape and times. Inputs of one model that share it are the same to it.
  std::uint64_t hash = 0;
  double seconds_per_patch = 0;          ///< of a video, for models whose positions follow it; `second_per_grid_ts`
  std::vector<double> time_stamps = {};  ///< [grid.times] seconds that the prompt tells, for models that read them

  Index tokens() const { return grid.tokens(merge); }
  /// Its places in the prompt: one for each told time, else one.
  Index slots() const { return std::max<Index>(1, static_cast<Index>(time_stamps.size())); }
};

/// The time of each patch along time, from those of the frames: the mean of its first and its last frame's, the video's
/// last frame repeated to a whole patch (`_calculate_timestamps` of Qwen3VLProcessor, transformers 5.24).
inline std::vector<double> patch_times(std::vector<double> frame_seconds, Index frames_per_patch) {
  require(frames_per_patch >= 1 && !frame_seconds.empty(),
          "[patch_times] expected at least one frame and frames_per_patch of at least 1");
  const auto group = static_cast<std::size_t>(frames_per_patch);
  const std::size_t times = (frame_seconds.size() + group - 1) / group;
  frame_seconds.resize(times * group, frame_seconds.back());
  std::vector<double> seconds;
  for (std::size_t first = 0; first < frame_seconds.size(); first += group) {
    seconds.push_back((frame_seconds[first] + frame_seconds[first + group - 1]) / 2);
  }
  return seconds;
}

/// "<0.5 seconds>": how Qwen3-VL's prompts tell the time of what follows.
inline std::string seconds_text(double seconds) {
  char text[64];
  std::snprintf(text, sizeof text, "<%.1f seconds>", seconds);
  return text;
}

/// The input's places in a chat: one part, or for a video with time stamps, before each of its times the text that
/// tells it. A `ChatTemplate` makes of a slot <|vision_start|><|vision_end|>, between which go `tokens() / slots()`
/// placeholders.
inline std::vector<ChatPart> vision_parts(const VisionInput& input) {
  const ChatPart place{input.is_video ? ChatPart::Kind::video : ChatPart::Kind::image, {}};
  if (input.time_stamps.empty()) return {place};
  std::vector<ChatPart> parts;
  for (const double seconds : input.time_stamps) {
    parts.push_back({ChatPart::Kind::text, seconds_text(seconds)});
    parts.push_back(place);
  }
  return parts;
}

/// Throws, naming the input, unless its patches and time stamps fit its grid and that can be merged to tokens.
inline void check_vision_input(const VisionInput& input) {
  const VisionGrid& grid = input.grid;
  const auto got = [&](const std::string& what) {
    return what + ", got a grid of " + std::to_string(grid.times) + " x " + std::to_string(grid.height) + " x " +
           std::to_string(grid.width);
  };
  if (input.merge < 1 || grid.patches() < 1 || grid.height % input.merge != 0 || grid.width % input.merge != 0) {
    throw Error(got("[check_vision_input] expected sides that are multiples of merge " + std::to_string(input.merge)),
                input.name);
  }
  if (input.patches.shape().rank() != 2 || input.patches.dim(0) != grid.patches()) {
    throw Error(got("[check_vision_input] expected a grid of as many patches as there are rows"), input.name);
  }
  if (!input.time_stamps.empty() && static_cast<Index>(input.time_stamps.size()) != grid.times) {
    throw Error(got("[check_vision_input] expected a time step for each of " +
                    std::to_string(input.time_stamps.size()) + " time stamps"),
                input.name);
  }
}

namespace detail {

/// A run of placeholders in a prompt.
struct PlaceholderRun {
  Token pad = -1;
  Index first = 0;
  Index count = 0;
};

inline std::vector<PlaceholderRun> placeholder_runs(std::span<const Token> tokens, const SpecialTokenIds& special) {
  std::vector<PlaceholderRun> runs;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] != special.image_pad && tokens[i] != special.video_pad) continue;
    const bool goes_on = i > 0 && tokens[i - 1] == tokens[i];
    if (!goes_on) runs.push_back({tokens[i], static_cast<Index>(i), 0});
    ++runs.back().count;
  }
  return runs;
}

}  // namespace detail

/// Throws unless the placeholders in a prompt are those of its pictures and videos, in their order: for each slot of
/// each input, one run of its kind of placeholder, as long as the slot has tokens. Errors name the input.
inline void check_placeholders(std::span<const Token> tokens, const SpecialTokenIds& special,
                               std::span<const VisionInput> inputs) {
  const std::vector<detail::PlaceholderRun> runs = detail::placeholder_runs(tokens, special);
  std::size_t next = 0;
  for (const VisionInput& input : inputs) {
    check_vision_input(input);
    const Index expected = input.tokens() / input.slots();
    const Token pad = input.is_video ? special.video_pad : special.image_pad;
    for (Index slot = 0; slot < input.slots(); ++slot, ++next) {
      const std::string kind = input.is_video ? "video" : "image";
      const std::string wanted = "[check_placeholders] expected " + std::to_string(expected) + " " + kind +
                                 " placeholders in slot " + std::to_string(slot) + ", got ";
      if (next == runs.size()) throw Error(wanted + "no more in the prompt", input.name);
      const detail::PlaceholderRun& run = runs[next];
      if (run.pad == pad && run.count == expected) continue;
      throw Error(wanted + std::to_string(run.count) + (run.pad == special.video_pad ? " video" : " image") +
                      " placeholders at token " + std::to_string(run.first),
                  input.name);
    }
  }
  if (next < runs.size()) {
    throw Error("[check_placeholders] expected placeholders of " + std::to_string(inputs.size()) +
                    " pictures and videos, got more at token " + std::to_string(runs[next].first),
                inputs.empty() ? std::string() : inputs.back().name);
  }
}

}  // namespace caprl
