#pragma once

#include <string>
#include <string_view>

#include "caprl/core/error.hpp"
#include "caprl/text/default_system.hpp"

namespace caprl {

/// What `ChatTemplate` writes of Qwen's format as a Jinja text, a chat_template.jinja for programs that take theirs
/// from a model's folder (transformers, vLLM): messages whose content is a text, or parts of type "text", "image" (or
/// "image_url") and "video". `default_system_message` begins a chat that has none, unless it is empty; throws
/// Error for one that would not be read back (`default_system_message`): with quotation marks, braces, backslashes.
inline std::string chat_ml_template(std::string_view default_system_message) {
  std::string text = "{% for message in messages %}";
  if (!default_system_message.empty()) {
    text += "{% if loop.first and message.role != 'system' %}<|im_start|>system\n" +
            std::string(default_system_message) + "<|im_end|>\n{% endif %}";
  }
  const auto place = [](const char* pad) { return "<|vision_start|>" + std::string(pad) + "<|vision_end|>"; };
  require(caprl::default_system_message(text) == default_system_message,
          "[chat_ml_template] expected a system message without quotation marks, braces and backslashes");
  return text + "<|im_start|>{{ message.role }}\n{% if message.content is string %}{{ message.content }}" +
         "{% else %}{% for part in message.content %}" +  //
         "{% if part.type in ['image', 'image_url'] %}" + place("<|image_pad|>") + "{% elif part.type == 'video' %}" +
         place("<|video_pad|>") + "{% else %}{{ part.text }}{% endif %}" +
         "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}" +
         "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
}

}  // namespace caprl
