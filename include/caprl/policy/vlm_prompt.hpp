#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
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
#include "caprl/model/picture.hpp"
#include "caprl/model/vision_settings.hpp"
#include "caprl/tensor/prefix_tree_builder.hpp"
#include "caprl/tensor/tensor.hpp"
#include "caprl/text/chat_template.hpp"

namespace caprl {

/// What a vision-language policy reads: tokens, some of which stand for parts of pictures.
struct VlmPrompt {
  std::vector<TokenKey> tokens;
  std::vector<Index> media_row;  ///< for each token: -1, or its row among those of the prompt's pictures, one by one
  std::vector<Picture> pictures;
  Index picture_rows = 0;  ///< of all pictures

  void append_text(std::span<const Token> text) {
    for (const Token token : text) tokens.push_back({token, 0});
    media_row.resize(tokens.size(), -1);
  }

  /// `count` tokens `pad` that stand for a picture. They compare by its content, its grid and times included.
  void append_picture(Picture picture, Token pad, Index count) {
    Fnv1a content = Fnv1a().add(picture.hash);
    for (const Index side : {picture.grid.times, picture.grid.height, picture.grid.width}) {
      content.add(static_cast<std::uint64_t>(side));
    }
    content.add(std::bit_cast<std::uint64_t>(picture.seconds_per_time));
    for (Index part = 0; part < count; ++part) {
      const std::uint64_t hash = Fnv1a(content).add(static_cast<std::uint64_t>(part)).value();
      tokens.push_back({pad, hash | 1});  // 0 would mean text
      media_row.push_back(picture_rows++);
    }
    pictures.push_back(std::move(picture));
  }
};

/// Throws Error unless there is a clip with frames for each of the item's files.
inline void require_media(const CaptionItem& item, std::span<const Clip> media) {
  if (media.size() != item.media.size()) {
    throw Error(
        "[VlmPrompt] expected " + std::to_string(item.media.size()) + " media, got " + std::to_string(media.size()),
        item.where);
  }
  for (std::size_t file = 0; file < media.size(); ++file) {
    if (media[file].frames.empty()) {
      throw Error("[VlmPrompt] expected at least one frame, got none", item.media[file].path.string());
    }
  }
}

/// The item's chat with its media in place. `parts` says what stands for each of the item's files, most often one
/// place; `append(prompt, file, place)` writes the pictures of a file's place.
template <class Append>
VlmPrompt lay_out_prompt(const ChatTemplate& chat, const CaptionItem& item,
                         std::span<const std::vector<ChatPart>> parts, const Append& append) {
  std::vector<ChatMessage> messages;
  if (!item.system.empty()) messages.push_back(ChatMessage::of_text("system", item.system));
  ChatMessage user{"user", {}};
  std::vector<std::pair<std::size_t, Index>> places;  // file and its place, in the order of the text
  for (std::size_t file = 0; file < parts.size(); ++file) {
    Index place = 0;
    for (const ChatPart& part : parts[file]) {
      if (part.kind != ChatPart::Kind::text) places.emplace_back(file, place++);
      user.parts.push_back(part);
    }
  }
  user.parts.push_back({ChatPart::Kind::text, item.prompt});
  messages.push_back(std::move(user));

  const RenderedChat rendered = chat.render(messages);
  const std::span<const Token> text = rendered.tokens;
  VlmPrompt prompt;
  std::size_t written = 0;
  for (std::size_t slot = 0; slot < places.size(); ++slot) {
    const auto end = static_cast<std::size_t>(rendered.media[slot].position);
    prompt.append_text(text.subspan(written, end - written));
    written = end;
    append(prompt, places[slot].first, places[slot].second);
  }
  prompt.append_text(text.subspan(written));
  return prompt;
}

/// "[mm:ss]", the form in which a policy reads and writes times. Fractions of a second are cut off.
inline std::string time_stamp(double seconds) {
  const auto whole = static_cast<long>(seconds);
  char text[32];
  std::snprintf(text, sizeof text, "[%02ld:%02ld]", whole / 60, whole % 60);
  return text;
}

/// Makes prompts for a vision tower with square inputs of one size: an image is its parts, a video the time stamp and
/// the parts of each frame. Before a video's first frame, and an image, they themselves are seen.
class VlmPromptEncoder {
 public:
  VlmPromptEncoder(const ChatTemplate& chat, const VisionSettings& vision, const PatchSettings& pixels)
      : chat_(chat),
        image_size_(vision.image_size),
        temporal_patch_size_(vision.temporal_patch_size),
        tokens_per_side_(vision.grid()),
        pixels_(pixels) {
    pixels_.patch_pixels = 1;
  }

  /// The item's prompt; `media` holds one clip for each of its files. Throws Error where clips or frames are missing.
  VlmPrompt operator()(const CaptionItem& item, std::span<const Clip> media) const {
    require_media(item, media);
    std::vector<std::vector<ChatPart>> parts;
    for (const MediaFile& file : item.media) {
      parts.push_back({{file.kind == MediaKind::image ? ChatPart::Kind::image : ChatPart::Kind::video, {}}});
    }
    return lay_out_prompt(chat_, item, parts, [&](VlmPrompt& prompt, std::size_t file, Index) {
      append_clip(prompt, item.media[file], media[file]);
    });
  }

 private:
  void append_clip(VlmPrompt& prompt, const MediaFile& file, const Clip& clip) const {
    const bool video = file.kind == MediaKind::video;
    const Token pad = video ? chat_.special_tokens().video_pad : chat_.special_tokens().image_pad;
    std::vector<Image> fitted;
    for (const Frame& frame : clip.frames) {
      if (video) prompt.append_text(chat_.tokenizer().encode(time_stamp(frame.seconds)));
      fitted.push_back(fit(frame.image));
      prompt.append_picture(picture(fitted), pad, tokens_per_side_ * tokens_per_side_);
    }
  }

  Image fit(const Image& image) const {
    return image.height == image_size_ && image.width == image_size_ ? image
                                                                     : resize(image, {image_size_, image_size_});
  }

  /// The last of `frames`, with those before it.
  Picture picture(std::span<const Image> frames) const {
    const auto last = static_cast<Index>(frames.size()) - 1;
    Fnv1a hash;
    Picture picture{.pixels = Tensor<float>({image_size_ * image_size_, 3 * temporal_patch_size_}),
                    .grid = {.times = 1, .height = tokens_per_side_, .width = tokens_per_side_}};
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
  Index tokens_per_side_;
  PatchSettings pixels_;
};

}  // namespace caprl
