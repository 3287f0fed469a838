#pragma once

#include <string>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/text/special_tokens.hpp"
#include "caprl/text/tokenizer.hpp"

namespace caprl {

/// One part of a message: text, or the place of an image or video (whose `text` is empty).
struct ChatPart {
  enum class Kind { text, image, video };
  Kind kind = Kind::text;
  std::string text;
};

/// A turn of a conversation. Roles are "system", "user" and "assistant"; others are written as they are.
struct ChatMessage {
  std::string role;
  std::vector<ChatPart> parts;

  static ChatMessage of_text(std::string role, std::string text) {
    return {std::move(role), {{ChatPart::Kind::text, std::move(text)}}};
  }
};

struct ChatOptions {
  bool generation_prompt = true;       ///< begin the assistant's turn, which the model goes on with
  std::string assistant_prefill = {};  ///< how that turn begins ("The answer is"); plain text
  bool empty_thinking = false;         ///< put an empty thinking block before the prefill, for models that think
};

/// The place of a media item in a rendered chat: its tokens go before tokens[position].
struct MediaSlot {
  ChatPart::Kind kind = ChatPart::Kind::image;
  Index position = 0;
};

/// A chat as tokens. Media slots are in the order of the text; where one is, <|vision_start|> stands before it and
/// <|vision_end|> after it.
struct RenderedChat {
  std::vector<Token> tokens;
  std::vector<MediaSlot> media;
};

/// The system message with which the published chat templates of Qwen2-VL and Qwen2.5-VL begin a chat that has none:
/// for folders that have no template.
namespace default_system {
inline constexpr const char* qwen2_vl = "You are a helpful assistant.";
}  // namespace default_system

/// The chat format of Qwen (ChatML), <|im_start|>role\ncontent<|im_end|>\n for each message, or that of Llama 3,
/// <|begin_of_text|> and <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|> for each: which, the tokenizer's
/// special tokens say (`SpecialTokenIds`). Llama's format: "Prompt format" of Meta's model cards for Llama 3.
///
/// Special tokens are placed as ids and everything else is encoded as plain text, so that no content can begin or end
/// a turn. The ids are those that the models' own templates give, tokenized as a whole; but contents are written as
/// they are, where Llama's template drops white space around them.
class ChatTemplate {
 public:
  /// A chat that does not begin with a system message is given the tokenizer's default one, unless that is empty.
  /// Throws `Error` where the tokenizer lacks one of the special tokens.
  explicit ChatTemplate(const Tokenizer& tokenizer)
      : ChatTemplate(tokenizer, tokenizer.default_system_message().value_or("")) {}

  /// The same with `default_system_message` in the place of the tokenizer's.
  ChatTemplate(Tokenizer tokenizer, std::string default_system_message)
      : tokenizer_(std::move(tokenizer)),
        special_(SpecialTokenIds::of(tokenizer_)),
        default_system_message_(std::move(default_system_message)) {}

  RenderedChat render(const std::vector<ChatMessage>& messages, const ChatOptions& options = {}) const {
    require(options.generation_prompt || (options.assistant_prefill.empty() && !options.empty_thinking),
            "[ChatTemplate] expected generation_prompt where the assistant's turn shall begin with something");
    Writer writer{*this, {}, {}};
    if (special_.is_llama3()) writer.special(special_.text_start);
    if (!default_system_message_.empty() && !messages.empty() && messages[0].role != "system") {
      write_message(ChatMessage::of_text("system", default_system_message_), writer);
    }
    for (const ChatMessage& message : messages) write_message(message, writer);
    if (options.generation_prompt) {
      begin_turn("assistant", writer);
      if (options.empty_thinking) {
        writer.special(thinking("<think>"));
        writer.text += "\n\n";
        writer.special(thinking("</think>"));
        writer.text += "\n\n";
      }
      writer.text += options.assistant_prefill;
    }
    writer.flush();
    return std::move(writer.chat);
  }

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const SpecialTokenIds& special_tokens() const { return special_; }
  const std::string& default_system_message() const { return default_system_message_; }

 private:
  /// Gathers text until a special token: text between two of them is tokenized as one.
  struct Writer {
    const ChatTemplate& chat_template;
    RenderedChat chat;
    std::string text;

    void flush() {
      const std::vector<Token> tokens = chat_template.tokenizer_.encode(text);
      chat.tokens.insert(chat.tokens.end(), tokens.begin(), tokens.end());
      text.clear();
    }
    void special(Token token) {
      flush();
      chat.tokens.push_back(token);
    }
  };

  void begin_turn(const std::string& role, Writer& writer) const {
    writer.special(special_.turn_start);
    writer.text += role;
    if (special_.is_llama3()) {
      writer.special(special_.role_end);
      writer.text += "\n";
    }
    writer.text += "\n";
  }

  void write_message(const ChatMessage& message, Writer& writer) const {
    begin_turn(message.role, writer);
    for (const ChatPart& part : message.parts) {
      if (part.kind == ChatPart::Kind::text) {
        writer.text += part.text;
        continue;
      }
      if (!part.text.empty()) {
        throw Error("[ChatTemplate] expected no text in an image or video part, got " + part.text);
      }
      if (!special_.has_vision()) {
        throw Error(
            "[ChatTemplate] expected a tokenizer with <|vision_start|> for an image or video, got one for text alone");
      }
      writer.special(special_.vision_start);
      writer.chat.media.push_back({part.kind, static_cast<Index>(writer.chat.tokens.size())});
      writer.special(special_.vision_end);
    }
    writer.special(special_.turn_end);
    if (!special_.is_llama3()) writer.text += "\n";
  }

  Token thinking(const char* name) const {
    const std::optional<Token> id = tokenizer_.id_of(name);
    if (!id) throw Error(std::string("[ChatTemplate] expected a tokenizer that has ") + name + ", got one without");
    return *id;
  }

  Tokenizer tokenizer_;
  SpecialTokenIds special_;
  std::string default_system_message_;
};

}  // namespace caprl
