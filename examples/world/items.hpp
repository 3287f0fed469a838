#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "world/captions.hpp"
#include "world/clip_questions.hpp"
#include "world/questions.hpp"
#include "world/scene_json.hpp"
#include "world/split.hpp"

namespace world {

/// One item of a set: a scene or a clip, with questions, a caption of the base's mixture, and four to learn from
/// before.
template <class Content>
struct WorldItem {
  Content content;
  std::vector<WorldQuestion> questions;
  std::string caption;
  std::string brief;             ///< mostly terse, of clips mostly without events
  std::string mixed;             ///< terse to dense, events told as often as objects
  std::string timeline;          ///< dense, with a sentence for every second
  std::string thinned_timeline;  ///< dense, with sentences for some of the seconds in which nothing happens
};
using ImageItem = WorldItem<Scene>;
using ClipItem = WorldItem<Clip>;

namespace detail {

inline RandomStream item_stream(std::uint64_t seed, Split split, std::uint32_t index, std::uint32_t kind) {
  return RandomStream({.seed = seed,
                       .purpose = caprl::Purpose::example,
                       .step = kind,
                       .item = index,
                       .sample = 1 + static_cast<std::uint32_t>(split)});
}

template <class Content>
WorldItem<Content> finish_item(RandomStream& random, Content content, std::vector<WorldQuestion> questions) {
  constexpr bool is_clip = std::is_same_v<Content, Clip>;
  std::string mixed = mixture_caption(content, CaptionMixture::mixed(is_clip), random);
  std::string timeline = timeline_caption(content, random);
  std::string thinned = timeline_caption(content, random, 0);
  std::string brief = mixture_caption(content, CaptionMixture::brief(is_clip), random);
  std::string caption = mixture_caption(content, CaptionMixture::of_base(is_clip), random);
  return {std::move(content), std::move(questions), std::move(caption), std::move(brief),
          std::move(mixed),   std::move(timeline),  std::move(thinned)};
}

}  // namespace detail

/// Picture `index` of a set. Does not depend on how many there are.
inline ImageItem draw_image_item(std::uint64_t seed, Split split, std::uint32_t index) {
  RandomStream random = detail::item_stream(seed, split, index, 10);
  const ImagePlan plan = draw_image_plan(random);
  const int count = draw_object_count(random, plan);
  Scene scene = draw_scene(random, count);
  while (split_of(scene) != split) scene = draw_scene(random, count);
  std::vector<WorldQuestion> questions = image_questions(random, scene, plan);
  return detail::finish_item(random, std::move(scene), std::move(questions));
}

/// Clip `index` of a set.
inline ClipItem draw_clip_item(std::uint64_t seed, Split split, std::uint32_t index,
                               int longest_seconds = longest_clip_seconds) {
  RandomStream random = detail::item_stream(seed, split, index, 11);
  Clip clip = draw_clip(random, longest_seconds);
  while (split_of(clip.scene) != split) clip = draw_clip(random, longest_seconds);
  std::vector<WorldQuestion> questions = clip_questions(random, clip);
  return detail::finish_item(random, std::move(clip), std::move(questions));
}

/// A data line in the schema of docs/data.md, with the fields "scene" (facts), "kinds" (of the questions),
/// "caption_dense", "caption_brief", "caption_mixed", "caption_timeline" and "caption_timeline_thinned" beside it.
template <class Content>
Json item_to_json(const WorldItem<Content>& item, const std::string& id, const std::string& path) {
  constexpr bool is_clip = std::is_same_v<Content, Clip>;
  Json questions = Json::array(), kinds = Json::array();
  for (const WorldQuestion& question : item.questions) {
    Json choices = Json::array();
    for (std::size_t i = 0; i < question.question.options.size(); ++i) {
      choices.push_back(std::string(1, static_cast<char>('A' + i)) + ") " + question.question.options[i]);
    }
    questions.push_back({{"question", question.question.text},
                         {"choices", std::move(choices)},
                         {"answer", std::string(1, static_cast<char>('A' + question.question.gold))}});
    kinds.push_back(std::string(question_kind_words[static_cast<std::size_t>(question.ask.kind)]));
  }
  const std::string prompt = is_clip ? "<video>" + std::string(video_prompt) : "<image>" + std::string(image_prompt);
  return {{"id", id},
          {"prompt", Json::array({{{"role", "user"}, {"content", prompt}}})},
          {is_clip ? "videos" : "images", Json::array({path})},
          {"data_source", is_clip ? "video_caption_rl" : "image_caption_rl"},
          {"reward_model", {{"ground_truth", std::move(questions)}}},
          {"caption", item.caption},
          {"caption_dense", truth_caption(item.content)},
          {"caption_brief", item.brief},
          {"caption_mixed", item.mixed},
          {"caption_timeline", item.timeline},
          {"caption_timeline_thinned", item.thinned_timeline},
          {"kinds", std::move(kinds)},
          {"scene", scene_to_json(item.content)}};
}

}  // namespace world
