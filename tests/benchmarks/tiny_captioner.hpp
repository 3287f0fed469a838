#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "caprl/core/random.hpp"
#include "caprl/data/item.hpp"
#include "caprl/judge/exact_judge.hpp"
#include "caprl/media/clip.hpp"
#include "caprl/model/language_model.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/text/bpe_trainer.hpp"
#include "support/captioner_sizes.hpp"

/// The tiny captioner of the examples with items in the form of their world, for a whole step of reinforcement.
namespace benchmark_support {

using caprl::Index;

constexpr Index step_items = 32;
constexpr Index step_samples = 8;
constexpr Index step_maximum_tokens = 96;

inline std::string pick(caprl::RandomStream& random, const std::vector<std::string>& words) {
  return words[random.below(static_cast<std::uint32_t>(words.size()))];
}

inline const std::vector<std::string>& colours() {
  static const std::vector<std::string> words = {"red", "blue", "green", "yellow", "purple", "cyan", "pink", "orange"};
  return words;
}
inline const std::vector<std::string>& shapes() {
  static const std::vector<std::string> words = {"circle", "square", "triangle", "star", "diamond", "cross"};
  return words;
}
inline const std::vector<std::string>& places() {
  static const std::vector<std::string> words = {"top left",     "top center",  "top right",     "middle left",
                                                 "middle right", "bottom left", "bottom center", "bottom right"};
  return words;
}

/// One to four objects, each with its place, size, colour, texture and shape.
inline std::string caption_text(std::uint32_t number) {
  static const std::array<std::string, 4> counts = {"one object .", "two objects .", "three objects .",
                                                    "four objects ."};
  caprl::RandomStream random({.seed = 5, .item = number});
  const std::uint32_t objects = random.below(4);
  std::string text = counts[objects] + " " + pick(random, {"tan", "navy", "brown", "gray", "white"}) + " background .";
  for (std::uint32_t i = 0; i <= objects; ++i) {
    text += " at " + pick(random, places()) + " a " + pick(random, {"small", "large"}) + " " + pick(random, colours()) +
            " " + pick(random, {"plain", "striped", "dotted", "hollow"}) + " " + pick(random, shapes()) + " .";
  }
  return text;
}

/// Five questions of four options.
inline std::vector<caprl::Question> questions_of(std::uint32_t number) {
  caprl::RandomStream random({.seed = 6, .item = number});
  const std::string shape = pick(random, shapes());
  const auto gold = [&] { return static_cast<Index>(random.below(4)); };
  return {{"how many objects are there ?", {"one", "four", "two", "three"}, gold()},
          {"what colour is the " + shape + " ?", {"orange", "red", "yellow", "cyan"}, gold()},
          {"what colour is the background ?", {"tan", "navy", "brown", "gray"}, gold()},
          {"what texture is the " + shape + " ?", {"striped", "plain", "dotted", "hollow"}, gold()},
          {"where is the " + shape + " ?", {"top left", "top right", "bottom center", "middle right"}, gold()}};
}

inline std::vector<caprl::CaptionItem> make_items(std::uint32_t count) {
  std::vector<caprl::CaptionItem> items;
  for (std::uint32_t i = 0; i < count; ++i) {
    caprl::CaptionItem item;
    item.id = std::to_string(i);
    item.where = "items:" + item.id;
    item.prompt = "describe the image in detail .";
    item.media = {{caprl::MediaKind::image, item.id}};
    item.questions = questions_of(i);
    item.caption = caption_text(i);
    items.push_back(std::move(item));
  }
  return items;
}

/// Noise: what a picture shows costs nothing.
inline std::vector<caprl::Clip> noise_picture(std::uint32_t number, Index side) {
  caprl::Image image(side, side);
  caprl::RandomStream random({.seed = 7, .item = number});
  for (std::uint8_t& value : image.rgb) value = static_cast<std::uint8_t>(random.below(256));
  caprl::Clip clip;
  clip.frames.push_back({std::move(image), 0.0});
  std::vector<caprl::Clip> clips;
  clips.push_back(std::move(clip));
  return clips;
}

inline std::vector<caprl::Clip> load_noise(const caprl::CaptionItem& item) {
  return noise_picture(static_cast<std::uint32_t>(std::stoul(item.id)), 48);
}

inline std::string make_tokenizer_json() {
  std::vector<std::string> texts;
  for (const caprl::CaptionItem& item : make_items(512)) {
    texts.push_back(item.caption);
    texts.push_back(item.prompt);
    for (const caprl::Question& question : item.questions) {
      texts.push_back(question.text);
      for (std::size_t o = 0; o < question.options.size(); ++o) {
        texts.push_back(std::string(1, static_cast<char>('A' + o)) + ") " + question.options[o]);
      }
    }
  }
  caprl::BpeTrainerSettings settings;
  settings.vocabulary_size = 560;
  return caprl::train_bpe(texts, settings);
}

inline caprl::DecoderSettings judge_settings_of(Index vocabulary) {
  return {
      .block = examples::block_settings(128, 4), .layers = 6, .vocabulary_size = vocabulary, .maximum_positions = 2048};
}

inline caprl::ExactJudge<float> open_judge(const caprl::ModelFolder<caprl::Decoder<float>>& folder) {
  return {folder.model, folder.tokenizer, {.prompt = caprl::QuestionPrompt::brief(), .orders = {.count = 1}}};
}

}  // namespace benchmark_support
