#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/text/tokenizer.hpp"

namespace caprl {

/// The control tokens that chat and media prompts are made of: those of Qwen, or of Llama 3. A tokenizer for text alone
/// has no vision tokens.
struct SpecialTokenIds {
  Token end_of_text = -1;   ///< <|endoftext|>, <|end_of_text|>: ends a document; pads
  Token turn_start = -1;    ///< <|im_start|>, <|start_header_id|>
  Token turn_end = -1;      ///< <|im_end|>, <|eot_id|>: ends a caption
  Token text_start = -1;    ///< <|begin_of_text|>: before a chat of Llama 3; Qwen has none
  Token role_end = -1;      ///< <|end_header_id|>: after a role of Llama 3; Qwen has none
  Token vision_start = -1;  ///< <|vision_start|>
  Token vision_end = -1;    ///< <|vision_end|>
  Token image_pad = -1;     ///< <|image_pad|>: stands for one patch of an image
  Token video_pad = -1;     ///< <|video_pad|>: stands for one patch of a video

  /// True if the tokenizer can write images and videos.
  bool has_vision() const { return vision_start >= 0; }

  /// True for the chat format of Llama 3, false for that of Qwen (ChatML).
  bool is_llama3() const { return role_end >= 0; }

  /// Looks them up: those of Llama 3 where the tokenizer has <|start_header_id|> and no <|im_start|>, else those of
  /// Qwen. Throws `Error` that names the first that the tokenizer lacks.
  static SpecialTokenIds of(const Tokenizer& tokenizer) {
    const auto has = [&](std::string_view name) {
      const std::optional<Token> id = tokenizer.id_of(name);
      return id && tokenizer.is_special(*id);
    };
    const auto find = [&](std::string_view name) {
      if (!has(name)) {
        throw Error("[SpecialTokenIds] expected a special token " + std::string(name) + ", got none", "the tokenizer",
                    "use a tokenizer with the special tokens of Qwen or Llama 3, or train one");
      }
      return *tokenizer.id_of(name);
    };
    if (has("<|start_header_id|>") && !has("<|im_start|>")) {
      return {.end_of_text = find("<|end_of_text|>"),
              .turn_start = find("<|start_header_id|>"),
              .turn_end = find("<|eot_id|>"),
              .text_start = find("<|begin_of_text|>"),
              .role_end = find("<|end_header_id|>")};
    }
    SpecialTokenIds ids{
        .end_of_text = find("<|endoftext|>"), .turn_start = find("<|im_start|>"), .turn_end = find("<|im_end|>")};
    if (has("<|vision_start|>") || has("<|vision_end|>") || has("<|image_pad|>") || has("<|video_pad|>")) {
      ids.vision_start = find("<|vision_start|>");
      ids.vision_end = find("<|vision_end|>");
      ids.image_pad = find("<|image_pad|>");
      ids.video_pad = find("<|video_pad|>");
    }
    return ids;
  }
};

}  // namespace caprl
