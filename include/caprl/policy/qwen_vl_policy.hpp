#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/media/vision_preprocessing.hpp"
#include "caprl/model/qwen25_vl.hpp"
#include "caprl/model/qwen3_vl.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/policy/vlm_prompt.hpp"

namespace caprl {

/// Makes prompts for models that read pictures of any size, as the models' own processors do: an image, or a video as a
/// whole, is one picture and one run of tokens; where the model reads times, each of a video's is. Those prompts are
/// of transformers 4.57 to 5.9: from 5.10 on, its Qwen3VLProcessor leaves one more pair of vision tokens around them.
class VisionPromptEncoder {
 public:
  VisionPromptEncoder(const ChatTemplate& chat, const VisionPreprocessing& preprocessing)
      : chat_(chat), preprocessing_(preprocessing) {}

  /// The item's prompt; `media` holds one clip for each of its files. Throws Error, naming the file, where clips or
  /// frames are missing or a picture's shape is impossible.
  VlmPrompt operator()(const CaptionItem& item, std::span<const Clip> media) const {
    require_media(item, media);
    std::vector<VisionInput> inputs;
    std::vector<std::vector<ChatPart>> parts;
    for (std::size_t file = 0; file < media.size(); ++file) {
      const std::string name = item.media[file].path.string();
      inputs.push_back(item.media[file].kind == MediaKind::video
                           ? preprocess_video(media[file], preprocessing_.videos, name)
                           : preprocess_image(media[file].frames.front().image, preprocessing_.images, name));
      parts.push_back(vision_parts(inputs.back()));
    }
    return lay_out_prompt(chat_, item, parts, [&](VlmPrompt& prompt, std::size_t file, Index place) {
      const VisionInput& input = inputs[file];
      const Token pad = input.is_video ? chat_.special_tokens().video_pad : chat_.special_tokens().image_pad;
      prompt.append_picture(picture(input, place), pad, input.tokens() / input.slots());
    });
  }

 private:
  /// The whole input, or the one of its times that stands at a place of its own.
  static Picture picture(const VisionInput& input, Index place) {
    const Index slots = input.slots(), rows = input.grid.patches() / slots;
    if (slots == 1) return {input.hash, input.patches, input.grid, input.seconds_per_patch};
    const auto number = static_cast<std::uint64_t>(place);
    return {.hash = Fnv1a().add(input.hash).add(number).value(),
            .pixels = input.patches.slice(place * rows, (place + 1) * rows),
            .grid = {1, input.grid.height, input.grid.width}};
  }

  ChatTemplate chat_;
  VisionPreprocessing preprocessing_;
};

template <class T, class Device>
ChatTemplate chat_template(const Tokenizer& tokenizer, const Qwen25Vl<T, Device>&) {
  return ChatTemplate(tokenizer, tokenizer.default_system_message().value_or(default_system::qwen2_vl));
}
template <class T, class Device>
VisionPromptEncoder prompt_encoder(const ChatTemplate& chat, const Qwen25Vl<T, Device>& model) {
  return {chat, model.settings.preprocessing};
}

template <class T, class Device>
ChatTemplate chat_template(const Tokenizer& tokenizer, const Qwen3Vl<T, Device>&) {
  return ChatTemplate(tokenizer);
}
template <class T, class Device>
VisionPromptEncoder prompt_encoder(const ChatTemplate& chat, const Qwen3Vl<T, Device>& model) {
  return {chat, model.settings.preprocessing};
}

template <class T = float>
using Qwen25VlPolicy = VlmPolicy<Qwen25Vl<T>, T>;
template <class T = float>
using Qwen3VlPolicy = VlmPolicy<Qwen3Vl<T>, T>;

}  // namespace caprl
