#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>

#include "caprl/judge/question_prompt.hpp"

namespace examples {

/// Which judge a program asks, and in which words.
struct JudgeOptions {
  std::filesystem::path folder;
  bool standard_prompt = false;
  bool empty_thinking = false;

  caprl::QuestionPrompt prompt() const {
    auto prompt = standard_prompt ? caprl::QuestionPrompt::standard() : caprl::QuestionPrompt::brief();
    prompt.empty_thinking = empty_thinking;
    return prompt;
  }
};

inline void add_judge_options(CLI::App& app, JudgeOptions& options) {
  app.add_option("--judge", options.folder, "Folder or GGUF file of the judge")->required()->check(CLI::ExistingPath);
  app.add_flag("--standard-prompt", options.standard_prompt,
               "Ask the judge with instructions and worked examples: for instructed language models");
  app.add_flag("--empty-thinking", options.empty_thinking,
               "Begin the judge's answer with an empty thinking block: for models that would think first");
}

}  // namespace examples
