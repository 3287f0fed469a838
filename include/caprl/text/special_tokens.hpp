#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/text/tokenizer.hpp"

namespace caprl {

/// The control tokens that chat and media prompts are made of, under the names that Qwen gave them.
struct SpecialTokenIds {
  Token end_of_text = -1;   ///< <|endoftext|>: ends a document; pads
  Token turn_start = -1;    ///< <|im_start|>
  Token turn_end = -1;      ///< <|im_end|>: ends a caption
  Token vision_start = -1;  ///< <|vision_start|>
  Token vision_end = -1;    ///< <|vision_end|>
  Token image_pad = -1;     ///< <|image_pad|>: stands for one patch of an image
  Token video_pad = -1;     ///< <|video_pad|>: stands for one patch of a video

  /// Looks them up; throws `Error` that names the first that the tokenizer lacks.
  static SpecialTokenIds of(const Tokenizer& tokenizer) {
    const auto find = [&](std::string_view name) {
      const std::optional<Token> id = tokenizer.id_of(name);
      if (!id || !tokenizer.is_special(*id)) {
        throw Error("[SpecialTokenIds] expected a special token " + std::string(name) + ", got none", "the tokenizer",
                    "use a tokenizer with the special tokens of Qwen, or train one");
      }
      return *id;
    };
    return {find("<|endoftext|>"),  find("<|im_start|>"),  find("<|im_end|>"),   find("<|vision_start|>"),
            find("<|vision_end|>"), find("<|image_pad|>"), find("<|video_pad|>")};
  }
};

}  // namespace caprl
