#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "caprl/core/ascii.hpp"
#include "caprl/data/item.hpp"
#include "caprl/io/json_fields.hpp"

namespace caprl {

/// A `prompt` field taken apart: the texts, and the kinds of the media marks in order.
struct ChatPrompt {
  std::string system;
  std::string user;
  std::vector<MediaKind> marks;
};

namespace detail {

/// A message's content as one string with "<image>" and "<video>" marks; parts are joined without anything between.
inline std::string content_text(const JsonFields& message) {
  const Json& content = message.raw("content");
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) throw message.error("content", "expected a string or a list, got " + json_type(content));
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const std::string field = "content[" + std::to_string(i) + "]";
    if (!content[i].is_object()) throw message.error(field, "expected an object, got " + json_type(content[i]));
    const JsonFields part(content[i], message.where(), field);
    const auto type = part.get<std::string>("type");
    if (type == "text") {
      text += part.get<std::string>("text");
    } else if (type == "image" || type == "video") {
      part.require_only({"type"});
      text += "<" + type + ">";
    } else {
      throw message.error(field + ".type", "expected text, image or video, got \"" + type + "\"");
    }
  }
  return text;
}

/// Removes one mark and blanks from the front (or back) of `text`; false if there is none.
inline bool take_mark(std::string_view& text, bool front, std::vector<MediaKind>& marks) {
  text = trimmed(text);
  for (const auto& [mark, kind] : {std::pair{std::string_view("<image>"), MediaKind::image},
                                   std::pair{std::string_view("<video>"), MediaKind::video}}) {
    if (front && text.starts_with(mark)) {
      text.remove_prefix(mark.size());
      marks.push_back(kind);
      return true;
    }
    if (!front && text.ends_with(mark)) {
      text.remove_suffix(mark.size());
      marks.insert(marks.begin(), kind);
      return true;
    }
  }
  return false;
}

/// True if there is a mark anywhere in the text.
inline bool has_mark(std::string_view text) {
  return text.find("<image>") != std::string_view::npos || text.find("<video>") != std::string_view::npos;
}

/// The text of a system message, which shows nothing.
inline std::string system_text(const JsonFields& message) {
  std::string text = content_text(message);
  if (has_mark(text)) {
    throw message.error("content", "expected <image> and <video> in the user message alone, got one in the system's");
  }
  return text;
}

inline void take_user_text(const JsonFields& message, ChatPrompt& prompt) {
  const std::string content = content_text(message);
  std::string_view text = content;
  while (take_mark(text, true, prompt.marks)) {
  }
  std::vector<MediaKind> trailing;
  while (take_mark(text, false, trailing)) {
  }
  prompt.marks.insert(prompt.marks.end(), trailing.begin(), trailing.end());
  if (has_mark(text)) {
    throw message.error("content", "expected <image> and <video> before or after the text, got one within it");
  }
  if (text.empty()) throw message.error("content", "expected text beside the media, got none");
  prompt.user = text;
}

}  // namespace detail

/// Takes the field `prompt` of a data line apart: at most one system message, then one user message. Media marks stand
/// before or after the user's text alone, and are taken out. Throws Error with the file, line and field.
inline ChatPrompt parse_chat_prompt(const JsonFields& line) {
  const Json& messages = line.raw("prompt");
  if (!messages.is_array() || messages.empty()) {
    throw line.error("prompt", "expected a list of messages, got " +
                                   (messages.is_array() ? std::string("an empty one") : json_type(messages)));
  }
  ChatPrompt prompt;
  bool has_user = false;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string field = "prompt[" + std::to_string(i) + "]";
    const JsonFields message(messages[i], line.where(), field);
    const auto role = message.get<std::string>("role");
    if (role == "system" && i == 0) {
      prompt.system = detail::system_text(message);
    } else if (role == "user" && !has_user) {
      detail::take_user_text(message, prompt);
      has_user = true;
    } else {
      throw line.error(field + ".role", "expected at most one system message and then one user message, got " + role);
    }
  }
  if (!has_user) throw line.error("prompt", "expected a user message, got none");
  return prompt;
}

}  // namespace caprl
