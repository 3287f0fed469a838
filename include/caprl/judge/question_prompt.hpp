#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "caprl/core/ascii.hpp"
#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/data/item.hpp"
#include "caprl/judge/answer_letter.hpp"
#include "caprl/judge/option_orders.hpp"

namespace caprl {

/// The wording of a judge's prompt, as data that a user may replace.
///
/// `text` is the user's turn, with the slots {caption}, {question} and {options}, each once and in this order, so that
/// the prompts of one caption share all that comes before the question. The assistant's turn begins with `prefill`.
struct QuestionPrompt {
  std::string system;  ///< the system message, or empty for none
  std::string text;
  std::string caption_start;  ///< stands before the caption in `text`, and is kept out of captions
  std::string caption_end;    ///< stands after it; if empty, captions are put on one line, so that the line ends them
  std::string before_letter;  ///< of a line with an option: before_letter + "A" + after_letter + option
  std::string after_letter = ") ";
  std::string abstain = "Cannot be answered from the caption";
  char abstain_letter = 0;  ///< 0: the next letter after the last option's; published: always 'F'
  std::string prefill = "The answer is";
  bool empty_thinking = false;  ///< an empty thinking block before `prefill`: for models that would think first

  /// Instruction, two worked examples, markers around the caption: for instructed language models.
  static QuestionPrompt standard();
  /// No instruction and no examples: for tiny judges that were taught this one form.
  static QuestionPrompt brief();
};

/// A prompt in the pieces that are tokenised apart. The caption stands between the first two, as plain text that no
/// special token may come from.
struct PromptPieces {
  std::string system;
  std::string before_caption;
  std::string caption;
  std::string after_caption;
  std::string prefill;
};

inline QuestionPrompt QuestionPrompt::standard() {
  QuestionPrompt prompt;
  prompt.text =
      "Below is a caption that somebody wrote about an image or a video, and a multiple-choice question about the same "
      "image or video. Answer from what the caption says and from nothing else. Do not use what you know about the "
      "world, and do not guess from how the question is put. If the caption does not settle the question, choose the "
      "last option. Reply with the letter of one option.\n"
      "\n"
      "First example\n"
      "[caption begins]\n"
      "A grey cat sleeps on a wooden chair next to a window. Two yellow cups stand on the sill.\n"
      "[caption ends]\n"
      "Question: How many cups are on the sill?\n"
      "A) One\n"
      "B) Two\n"
      "C) Three\n"
      "D) Four\n"
      "E) Cannot be answered from the caption\n"
      "The answer is B\n"
      "\n"
      "Second example\n"
      "[caption begins]\n"
      "[00:02] A cyclist stops at a crossing. [00:05 - 00:09] A tram passes from left to right.\n"
      "[caption ends]\n"
      "Question: What colour is the tram?\n"
      "A) Green\n"
      "B) Red\n"
      "C) White\n"
      "D) Blue\n"
      "E) Cannot be answered from the caption\n"
      "The answer is E\n"
      "\n"
      "Now the caption to answer from\n"
      "[caption begins]\n"
      "{caption}\n"
      "[caption ends]\n"
      "Question: {question}\n"
      "{options}";
  prompt.caption_start = "[caption begins]";
  prompt.caption_end = "[caption ends]";
  return prompt;
}

inline QuestionPrompt QuestionPrompt::brief() {
  QuestionPrompt prompt;
  prompt.text = "{caption}\n{question}\n{options}\n";
  prompt.abstain = "not stated";
  return prompt;
}

namespace detail {

struct PromptSlots {
  std::string_view before_caption, before_question, before_options, after_options;
};

/// Cuts the text at its slots. Throws Error if one is absent, repeated or out of order.
inline PromptSlots prompt_slots(std::string_view text) {
  constexpr std::array<std::string_view, 3> names{"{caption}", "{question}", "{options}"};
  std::array<std::string_view, 4> pieces;
  std::size_t begin = 0;
  for (std::size_t slot = 0; slot < names.size(); ++slot) {
    const std::size_t at = text.find(names[slot]);
    const bool once = at != std::string_view::npos && text.find(names[slot], at + 1) == std::string_view::npos;
    if (!once || at < begin) {
      throw Error("[QuestionPrompt] expected the slots {caption}, {question} and {options} in this order, each once",
                  "the slot " + std::string(names[slot]));
    }
    pieces[slot] = text.substr(begin, at - begin);
    begin = at + names[slot].size();
  }
  return {pieces[0], pieces[1], pieces[2], text.substr(begin)};
}

/// Puts a space after the first character of every occurrence of `marker`, whatever its case; a marker of one character
/// becomes a space.
inline std::string break_marker(std::string text, std::string_view marker) {
  auto from = text.begin();
  for (;;) {
    const auto at = std::search(from, text.end(), marker.begin(), marker.end(), same_letter);
    if (marker.empty() || at == text.end()) return text;
    if (marker.size() == 1) {
      *at = ' ';
      from = at + 1;
    } else {
      from = text.insert(at + 1, ' ');
    }
  }
}

}  // namespace detail

/// The caption as it goes into the prompt: what would end its slot is broken up.
inline std::string escape_caption(const QuestionPrompt& prompt, std::string caption) {
  if (prompt.caption_end.empty()) {
    std::ranges::replace_if(
        caption, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  }
  return detail::break_marker(detail::break_marker(std::move(caption), prompt.caption_end), prompt.caption_start);
}

/// The letter of the abstain option of a question with `options` real ones. Throws Error beyond 25 options, or if a
/// fixed abstain letter is an option's.
inline char abstain_letter(const QuestionPrompt& prompt, Index options) {
  const char next = option_letter(options);
  require(prompt.abstain_letter == 0 || (prompt.abstain_letter >= next && prompt.abstain_letter <= 'Z'),
          "[QuestionPrompt] expected an abstain letter after those of the options");
  return prompt.abstain_letter == 0 ? next : prompt.abstain_letter;
}

/// What follows the caption: the question and its options in the given order. Options are lines; the abstain option is
/// the last.
inline std::string write_question(const QuestionPrompt& prompt, const Question& question, const OptionOrder& order) {
  const auto count = static_cast<Index>(order.size());
  require(order.size() == question.options.size(), "[write_question] expected an order of all options");
  const detail::PromptSlots slots = detail::prompt_slots(prompt.text);
  std::string options;
  for (Index position = 0; position < count; ++position) {
    const Index option = order[static_cast<std::size_t>(position)];
    options += prompt.before_letter + option_letter(position) + prompt.after_letter +
               question.options.at(static_cast<std::size_t>(option)) + "\n";
  }
  options += prompt.before_letter + abstain_letter(prompt, count) + prompt.after_letter + prompt.abstain;
  std::string after(slots.before_question);
  after.append(question.text).append(slots.before_options).append(options).append(slots.after_options);
  return after;
}

/// Writes the prompt that asks `question` about `caption`, with its options in the given order.
inline PromptPieces write_prompt(const QuestionPrompt& prompt, std::string_view caption, const Question& question,
                                 const OptionOrder& order) {
  return {.system = prompt.system,
          .before_caption = std::string(detail::prompt_slots(prompt.text).before_caption),
          .caption = escape_caption(prompt, std::string(caption)),
          .after_caption = write_question(prompt, question, order),
          .prefill = prompt.prefill};
}

}  // namespace caprl
