#pragma once

#include <span>
#include <string>
#include <utility>

#include "caprl/media/vision_preprocessing.hpp"
#include "caprl/model/qwen25_vl.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/policy/vlm_prompt.hpp"

namespace caprl {

/// Makes prompts for models that read pictures of any size, as the models' own processors do: an image, or a video as a
/// whole, is one picture and one run of tokens.
class VisionPromptEncoder {
 public:
  VisionPromptEncoder(const ChatTemplate& chat, const ImagePreprocessing& images, const VideoPreprocessing& videos)
      : chat_(chat), images_(images), videos_(videos) {}

  /// See `lay_out_prompt`. Throws Error, naming the file, where a picture's shape is impossible.
  VlmPrompt operator()(const CaptionItem& item, std::span<const Clip> media) const {
    return lay_out_prompt(chat_, item, media, [this](VlmPrompt& prompt, const MediaFile& file, const Clip& clip) {
      const bool video = file.kind == MediaKind::video;
      const std::string name = file.path.string();
      VisionInput input =
          video ? preprocess_video(clip, videos_, name) : preprocess_image(clip.frames.front().image, images_, name);
      const Index tokens = input.tokens();
      prompt.append_picture({input.hash, std::move(input.patches), input.grid, input.seconds_per_patch},
                            video ? chat_.special_tokens().video_pad : chat_.special_tokens().image_pad, tokens);
    });
  }

 private:
  ChatTemplate chat_;
  ImagePreprocessing images_;
  VideoPreprocessing videos_;
};

inline ChatTemplate chat_template(const Tokenizer& tokenizer, const Qwen25VlSettings&) {
  return ChatTemplate(tokenizer, default_system::qwen2_vl);
}
inline VisionPromptEncoder prompt_encoder(const ChatTemplate& chat, const Qwen25VlSettings& settings) {
  return {chat, settings.images, settings.videos};
}

template <class T = float>
using Qwen25VlPolicy = VlmPolicy<Qwen25Vl<T>, T>;

}  // namespace caprl
