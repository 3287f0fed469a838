#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/hash.hpp"
#include "caprl/data/item.hpp"
#include "caprl/media/clip.hpp"
#include "caprl/media/patches.hpp"
#include "caprl/media/resize.hpp"
#include "caprl/model/vision_settings.hpp"
#include "caprl/tensor/prefix_tree_builder.hpp"
#include "caprl/tensor/tensor.hpp"
#include "caprl/text/chat_template.hpp"

namespace caprl {

/// A picture, or a video's frame with those before it, as the vision tower reads it. Equal pixels have equal hashes and
/// are encoded once in a batch.
struct Picture {
  std::uint64_t hash = 0;
  Tensor<float> pixels;  ///< [image_size^2, 3 * temporal patch size], normalised, the frame itself last
};

/// What a vision-language policy reads: tokens, some of which stand for patches of pictures.
struct VlmPrompt {
  std::vector<TokenKey> tokens;
  std::vector<Index> media_row;  ///< for each token: -1, or picture * tokens per image + the patch's number
  std::vector<Picture> pictures;
};

/// "[mm:ss]", the form in which a policy reads and writes times. Fractions of a second are cut off.
inline std::string time_stamp(double seconds) {
  const auto whole = static_cast<long>(seconds);
  char text[32];
  std::snprintf(text, sizeof text, "[%02ld:%02ld]", whole / 60, whole % 60);
  return text;
}

/// Makes prompts for a vision tower with square inputs of one size. Before a video's first frame, and an image, they
/// themselves are seen.
class VlmPromptEncoder {
 public:
  VlmPromptEncoder(const ChatTemplate& chat, const VisionSettings& vision, const PatchSettings& pixels)
      : chat_(chat),
        image_size_(vision.image_size),
        temporal_patch_size_(vision.temporal_patch_size),
        tokens_per_image_(vision.tokens_per_image()),
        pixels_(pixels) {
    pixels_.patch_pixels = 1;
  }

  /// The item's chat with its pictures in place: an image as its patches, a video as the time stamp and the patches of
  /// each frame. `media` holds one clip for each of the item's files; an image is a clip of one frame.
  VlmPrompt operator()(const CaptionItem& item, std::span<const Clip> media) const {
    if (media.size() != item.media.size()) {
      throw Error("[VlmPromptEncoder] expected " + std::to_string(item.media.size()) + " media, got " +
                      std::to_string(media.size()),
                  item.where);
    }
    const RenderedChat rendered = chat_.render(messages(item));
    VlmPrompt prompt;
    Index written = 0;
    for (std::size_t slot = 0; slot < rendered.media.size(); ++slot) {
      append_text(prompt, std::span(rendered.tokens)
                              .subspan(static_cast<std::size_t>(written),
                                       static_cast<std::size_t>(rendered.media[slot].position - written)));
      written = rendered.media[slot].position;
      append_clip(prompt, item, slot, media[slot]);
    }
    append_text(prompt, std::span(rendered.tokens).subspan(static_cast<std::size_t>(written)));
    return prompt;
  }

 private:
  static std::vector<ChatMessage> messages(const CaptionItem& item) {
    std::vector<ChatMessage> messages;
    if (!item.system.empty()) messages.push_back(ChatMessage::of_text("system", item.system));
    ChatMessage user{"user", {}};
    for (const MediaFile& file : item.media) {
      user.parts.push_back({file.kind == MediaKind::image ? ChatPart::Kind::image : ChatPart::Kind::video, {}});
    }
    user.parts.push_back({ChatPart::Kind::text, item.prompt});
    messages.push_back(std::move(user));
    return messages;
  }

  static void append_text(VlmPrompt& prompt, std::span<const Token> tokens) {
    for (const Token token : tokens) prompt.tokens.push_back({token, 0});
    prompt.media_row.resize(prompt.tokens.size(), -1);
  }

  void append_clip(VlmPrompt& prompt, const CaptionItem& item, std::size_t file, const Clip& clip) const {
    const bool video = item.media[file].kind == MediaKind::video;
    if (clip.frames.empty()) {
      throw Error("[VlmPromptEncoder] expected at least one frame, got none", item.media[file].path.string());
    }
    const Token pad = video ? chat_.special_tokens().video_pad : chat_.special_tokens().image_pad;
    std::vector<Image> fitted;
    for (const Frame& frame : clip.frames) {
      if (video) append_text(prompt, chat_.tokenizer().encode(time_stamp(frame.seconds)));
      fitted.push_back(fit(frame.image));
      append_picture(prompt, pad, picture(fitted));
    }
  }

  void append_picture(VlmPrompt& prompt, Token pad, Picture picture) const {
    const auto first = static_cast<Index>(prompt.pictures.size()) * tokens_per_image_;
    for (Index patch = 0; patch < tokens_per_image_; ++patch) {
      const std::uint64_t hash = Fnv1a().add(picture.hash).add(static_cast<std::uint64_t>(patch)).value();
      prompt.tokens.push_back({pad, hash | 1});  // 0 would mean text
      prompt.media_row.push_back(first + patch);
    }
    prompt.pictures.push_back(std::move(picture));
  }

  Image fit(const Image& image) const {
    return image.height == image_size_ && image.width == image_size_ ? image
                                                                     : resize(image, {image_size_, image_size_});
  }

  /// The last of `frames`, with those before it.
  Picture picture(std::span<const Image> frames) const {
    const auto last = static_cast<Index>(frames.size()) - 1;
    Fnv1a hash;
    Picture picture{0, Tensor<float>({image_size_ * image_size_, 3 * temporal_patch_size_})};
    for (Index i = 0; i < temporal_patch_size_; ++i) {
      const Index frame = std::max<Index>(0, last - (temporal_patch_size_ - 1 - i));
      const Image& seen = frames[static_cast<std::size_t>(frame)];
      hash.add(seen.rgb);
      write_patches(seen, pixels_, picture.pixels.rows().columns_between(3 * i, 3 * (i + 1)));
    }
    picture.hash = hash.value();
    return picture;
  }

  ChatTemplate chat_;
  Index image_size_;
  Index temporal_patch_size_;
  Index tokens_per_image_;
  PatchSettings pixels_;
};

}  // namespace caprl
