#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "caprl/io/json_file.hpp"
#include "caprl/media/vision_input.hpp"
#include "caprl/media/vision_preprocessing.hpp"
#include "caprl/text/chat_template.hpp"
#include "caprl/text/load_tokenizer.hpp"
#include "support/tiny_world.hpp"

using namespace caprl;

namespace {

Image image_of(const Json& media) { return Image(media.at("size")[0].get<Index>(), media.at("size")[1].get<Index>()); }

Clip clip_of_case(const Json& video) {
  Clip clip{.frames = {},
            .duration_seconds = 0,
            .video_frames = video.at("total_frames").get<Index>(),
            .frames_per_second = video.at("frames_per_second").get<double>()};
  for (const Json& frame : video.at("frames")) {
    clip.frames.push_back({.image = image_of(video),
                           .seconds = frame.get<double>() / clip.frames_per_second,
                           .number = frame.get<Index>()});
  }
  return clip;
}

/// Pixel budgets of the fixture, in all else as the processors' classes have it.
struct Processors {
  VideoPreprocessing videos = VideoPreprocessing::of(VideoProcessor::qwen3_vl);
  ImagePreprocessing images{.patches = videos.patches};

  explicit Processors(const Json& file) {
    const auto budget = [](const Json& processor) -> PixelBudget {
      return {processor.at("size").at("shortest_edge").get<Index>(),
              processor.at("size").at("longest_edge").get<Index>()};
    };
    videos.budget = budget(file.at("videos"));
    images.budget = budget(file.at("images"));
  }
  VisionInput operator()(const Json& media) const {
    return media.contains("frames") ? preprocess_video(clip_of_case(media), videos, "case")
                                    : preprocess_image(image_of(media), images, "case");
  }
};

/// A user's message as Qwen3-VL reads it, each picture's tokens in its place.
std::vector<Token> prompt_of(const Json& one, const Processors& processors, const ChatTemplate& chat) {
  ChatMessage message{"user", {}};
  std::vector<Index> tokens_of_slots;
  std::size_t images = 0, videos = 0;
  for (const Json& part : one.at("content")) {
    if (part.at("type") == "text") {
      message.parts.push_back({ChatPart::Kind::text, part.at("text").get<std::string>()});
      continue;
    }
    const Json& media = part.at("type") == "video" ? one.at("videos")[videos++] : one.at("images")[images++];
    const VisionInput input = processors(media);
    CHECK(Json{input.grid.times, input.grid.height, input.grid.width} == media.at("grid"));
    for (ChatPart& place : vision_parts(input)) message.parts.push_back(std::move(place));
    tokens_of_slots.insert(tokens_of_slots.end(), static_cast<std::size_t>(input.slots()),
                           input.tokens() / input.slots());
  }
  const RenderedChat rendered = chat.render({message});
  REQUIRE(rendered.media.size() == tokens_of_slots.size());
  std::vector<Token> tokens = rendered.tokens;
  for (std::size_t slot = tokens_of_slots.size(); slot-- > 0;) {
    const bool video = rendered.media[slot].kind == ChatPart::Kind::video;
    const SpecialTokenIds& special = chat.special_tokens();
    tokens.insert(tokens.begin() + rendered.media[slot].position, static_cast<std::size_t>(tokens_of_slots[slot]),
                  video ? special.video_pad : special.image_pad);
  }
  return tokens;
}

}  // namespace

TEST_CASE("whole prompts with videos are those of Qwen3-VL's processor in transformers 4.57") {
  const std::filesystem::path data = CAPRL_TEST_DATA;
  const Json file = load_json(data / "policy/qwen3_vl_video_prompts.json");
  const Tokenizer tokenizer = Tokenizer::from_file(data / "../../examples/weights/judge1/tokenizer.json");
  const ChatTemplate chat(tokenizer, "");
  const Processors processors(file);
  REQUIRE(file.at("cases").size() == 7);
  for (const Json& one : file.at("cases")) {
    const auto expected = one.at("prompt").get<std::string>();
    CAPTURE(expected);
    CHECK(prompt_of(one, processors, chat) == tokenizer.encode(expected, AddedTokens::parse));
  }
}
