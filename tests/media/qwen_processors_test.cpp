// Against the processors of Qwen2.5-VL and Qwen3-VL: tests/reference/media_qwen_processors.py.

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "caprl/media/load_vision_preprocessing.hpp"
#include "caprl/media/smart_resize.hpp"
#include "caprl/media/vision_input.hpp"
#include "caprl/media/vision_preprocessing.hpp"
#include "caprl/text/bpe_trainer.hpp"
#include "caprl/text/load_tokenizer.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using caprl::testing::TemporaryFolder;

namespace {

const Json& fixture() {
  static const Json json = load_json(CAPRL_TEST_DATA "/media/qwen_processors.json");
  return json;
}

Image picture(Index height, Index width, Index frame = 0) {
  Image image(height, width);
  for (Index y = 0; y < height; ++y) {
    for (Index x = 0; x < width; ++x) {
      for (Index c = 0; c < 3; ++c) {
        const Index value = 7 * x + 13 * y + 31 * c + 17 * frame + x * y / 5 + x * x / 7;
        image.pixel(y, x)[c] = static_cast<std::uint8_t>(value % 256);
      }
    }
  }
  return image;
}

Clip video(Index frames, Index height, Index width) {
  Clip clip{{}, static_cast<double>(frames) / 2, 12 * frames, 24};
  for (Index f = 0; f < frames; ++f) {
    clip.frames.push_back({picture(height, width, f), static_cast<double>(f) / 2, 12 * f});
  }
  return clip;
}

std::string digest(const Tensor<float>& values) {
  std::uint64_t sum = 0, place = 0;
  for (const float value : values.span()) {
    place += 0x9E3779B97F4A7C15u;
    sum += (std::bit_cast<std::uint32_t>(value) + std::uint64_t{1}) * place;
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(sum));
  return text;
}

void check_input(const VisionInput& input, const Json& expected) {
  CAPTURE(expected.dump());
  const std::vector<Index> grid = expected["grid"];
  REQUIRE(input.grid == VisionGrid{grid[0], grid[1], grid[2]});
  CHECK_NOTHROW(check_vision_input(input));
  const std::vector<float> some = expected["pixels"]["some"];
  const std::span<const float> values = input.patches.span();
  for (std::size_t i = 0; i < some.size(); ++i) {
    CHECK(values[i * values.size() / some.size()] == doctest::Approx(some[i]).epsilon(1e-5));
  }
  CHECK(digest(input.patches) == expected["pixels"]["digest"].get<std::string>());
}

VideoProcessor processor_of(const Json& name) {
  return name == "Qwen3VLVideoProcessor" ? VideoProcessor::qwen3_vl : VideoProcessor::qwen2_vl;
}

ImagePreprocessing image_settings(const std::string& json) {
  return read_image_preprocessing(JsonFields(parse_json(json, "p.json"), "p.json"));
}

VideoPreprocessing video_settings(const std::string& json, VideoProcessor processor) {
  return read_video_preprocessing(JsonFields(parse_json(json, "v.json"), "v.json"), processor);
}

/// A video that has no pixels to speak of, only a grid and times.
VisionInput told_video() {
  VisionInput input{.name = "told.mp4", .is_video = true, .grid = {2, 4, 6}, .merge = 2};
  input.patches = Tensor<float>({48, 1});
  input.time_stamps = {0.25, 1.5};
  return input;
}

VisionInput small_image() {
  VisionInput input{.name = "small.png", .grid = {1, 4, 4}, .merge = 2};
  input.patches = Tensor<float>({16, 1});
  return input;
}

ChatTemplate tiny_chat() {
  return ChatTemplate(Tokenizer::from_json_text(
      train_bpe(std::vector<std::string>{"what was there and when"}, {.vocabulary_size = 300})));
}

/// A chat about the inputs, with the placeholders put in.
std::vector<Token> prompt_of(const ChatTemplate& chat, const std::vector<VisionInput>& inputs) {
  ChatMessage message{"user", {}};
  std::vector<Index> counts;
  for (const VisionInput& input : inputs) {
    for (ChatPart& part : vision_parts(input)) message.parts.push_back(std::move(part));
    counts.insert(counts.end(), static_cast<std::size_t>(input.slots()), input.tokens() / input.slots());
  }
  message.parts.push_back({ChatPart::Kind::text, "what was there?"});
  const RenderedChat rendered = chat.render({message});
  std::vector<Token> tokens;
  std::size_t slot = 0;
  for (std::size_t i = 0; i < rendered.tokens.size(); ++i) {
    if (slot < rendered.media.size() && rendered.media[slot].position == static_cast<Index>(i)) {
      const bool video = rendered.media[slot].kind == ChatPart::Kind::video;
      tokens.insert(tokens.end(), static_cast<std::size_t>(counts[slot++]),
                    video ? chat.special_tokens().video_pad : chat.special_tokens().image_pad);
    }
    tokens.push_back(rendered.tokens[i]);
  }
  return tokens;
}

}  // namespace

TEST_CASE("images become the processor's patches, to the bit") {
  for (const Json& expected : fixture()["images"]) {
    const ImagePreprocessing settings = read_image_preprocessing(JsonFields(expected["settings"], "fixture"));
    const VisionInput input =
        preprocess_image(picture(expected["size"][0], expected["size"][1]), settings, "picture.png");
    check_input(input, expected);
    CHECK(input.name == "picture.png");
    CHECK(input.slots() == 1);
  }
}

TEST_CASE("videos become the processor's patches, to the bit") {
  for (const Json& expected : fixture()["videos"]) {
    const VideoProcessor processor = processor_of(expected["class"]);
    const VideoPreprocessing settings =
        read_video_preprocessing(JsonFields(expected["settings"], "fixture"), processor);
    const Clip clip = video(expected["frames"], expected["size"][0], expected["size"][1]);
    const VisionInput input = preprocess_video(clip, settings, "video.mp4");
    check_input(input, expected);
    CHECK(input.is_video);
    CHECK(input.slots() == (processor == VideoProcessor::qwen3_vl ? input.grid.times : 1));
  }
}

TEST_CASE("sizes are those of smart_resize, and shapes that it refuses are errors that name the picture") {
  int refused = 0;
  for (const Json& row : fixture()["sizes"]) {
    CAPTURE(row.dump());
    const std::vector<Index> n = row;
    const auto resized = [&] {
      return n[0] > 0 ? smart_resize_video(n[0], {n[1], n[2]}, 2, n[3], {n[4], n[5]}, "thin.png")
                      : smart_resize({n[1], n[2]}, n[3], {n[4], n[5]}, "thin.png");
    };
    if (n[6] > 0) {
      CHECK(resized() == ImageSize{n[6], n[7]});
    } else {
      ++refused;
      CHECK_THROWS_WITH_AS(resized(), doctest::Contains("where: thin.png"), Error);
    }
  }
  CHECK(refused == 17);
  CHECK_THROWS_WITH_AS(smart_resize({201, 1}, 28, {1, 100}, "p"), doctest::Contains("got 201 x 1"), Error);
  CHECK_THROWS_WITH_AS(smart_resize({0, 9}, 28, {1, 100}, "p"), doctest::Contains("got 0 x 9"), Error);
  CHECK_THROWS_WITH_AS(smart_resize({9, 9}, 28, {100, 1}, "p"), doctest::Contains("minimum <= maximum"), Error);
  CHECK_THROWS_WITH_AS(smart_resize_video(1, {9, 9}, 2, 28, {1, 100}, "v.mp4"), doctest::Contains("as an image"),
                       Error);
}

TEST_CASE("the times of a video's patches are the processors'") {
  for (const Json& row : fixture()["times"]) {
    CAPTURE(row.dump());
    Clip clip{{}, 0, row[1], row[2]};
    for (const Json& number : row[0]) clip.frames.push_back({Image(28, 28), -1, number});
    CHECK(preprocess_video(clip, {}, "v").seconds_per_patch == row[3].get<double>());
    std::string told;
    for (const double seconds : patch_times(detail::frame_times(clip), 2)) told += seconds_text(seconds);
    CHECK(told == row[4].get<std::string>());
  }
  Clip of_a_list{{{Image(28, 28), 0.5}, {Image(28, 28), 1}, {Image(28, 28), 4}}, 6};  // which knows no rate
  CHECK(preprocess_video(of_a_list, {}, "v").seconds_per_patch == 4);
  CHECK(patch_times(detail::frame_times(of_a_list), 2) == std::vector<double>{0.75, 4});
  of_a_list.duration_seconds = 0;
  CHECK_THROWS_WITH_AS(preprocess_video(of_a_list, {}, "v.mp4"), doctest::Contains("knows its video's length"), Error);
}

TEST_CASE("the hash of an input tells pixels, shapes and times apart, and names do not matter") {
  const ImagePreprocessing settings;
  const std::uint64_t hash = preprocess_image(picture(60, 90), settings, "a").hash;
  CHECK(preprocess_image(picture(60, 90), settings, "b").hash == hash);
  CHECK(preprocess_image(picture(60, 90, 1), settings, "a").hash != hash);
  const Image flat(56, 84), upright(84, 56);  // equal bytes
  CHECK(preprocess_image(flat, settings, "a").hash != preprocess_image(upright, settings, "a").hash);
  Clip clip = video(4, 56, 56);
  const std::uint64_t of_clip = preprocess_video(clip, {}, "v").hash;
  clip.video_frames *= 2;
  CHECK(preprocess_video(clip, {}, "v").hash != of_clip);
}

TEST_CASE("clips that cannot become an input are errors that name the video") {
  Clip clip = video(2, 56, 56);
  const auto refused = [&](VideoProcessor processor) {
    preprocess_video(clip, VideoPreprocessing::of(processor), "v.mp4");
  };
  clip.frames.pop_back();
  CHECK_NOTHROW(refused(VideoProcessor::qwen2_vl));
  CHECK_THROWS_WITH_AS(refused(VideoProcessor::qwen3_vl), doctest::Contains("where: v.mp4"), Error);
  clip.frames.push_back({Image(56, 57), 1, 12});
  CHECK_THROWS_WITH_AS(refused(VideoProcessor::qwen2_vl), doctest::Contains("of one size, got several"), Error);
  clip.frames.clear();
  CHECK_THROWS_WITH_AS(refused(VideoProcessor::qwen2_vl), doctest::Contains("at least one frame, got none"), Error);
}

TEST_CASE("a folder's settings are found where transformers finds them") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(load_image_preprocessing(folder.path()), doctest::Contains("preprocessor_config.json; got none"),
                       Error);
  folder.file("preprocessor_config.json", R"({"min_pixels": 3136, "max_pixels": 12845056, "image_processor_type":
      "Qwen2VLImageProcessor", "image_std": [0.5, 0.25, 1], "temporal_patch_size": 2, "size": null})");
  CHECK(load_image_preprocessing(folder.path()).budget == PixelBudget{3136, 12845056});
  CHECK(load_image_preprocessing(folder.path()).patches.deviation == std::array<float, 3>{0.5f, 0.25f, 1.0f});
  CHECK(load_video_preprocessing(folder.path(), VideoProcessor::qwen2_vl).budget == PixelBudget{3136, 12845056});
  folder.file("video_preprocessor_config.json",
              R"({"size": {"shortest_edge": 4096, "longest_edge": 25165824}, "patch_size": 16, "max_pixels": 5,
                  "cap_pixels_per_frame": true, "max_video_tokens": 99, "video_processor_type": "Qwen3VLVideoProcessor"})");
  const VideoPreprocessing video = load_video_preprocessing(folder.path(), VideoProcessor::qwen3_vl);
  CHECK(video.budget == PixelBudget{4096, 25165824});  // the class knows no max_pixels
  CHECK(video.patches.factor() == 32);
  CHECK(video.patches.mean == std::array<float, 3>{0.5f, 0.5f, 0.5f});
  CHECK(video.cap_pixels_per_frame);
  CHECK(video.cap_tokens == 99);
  CHECK_THROWS_WITH_AS(load_video_preprocessing(folder.path(), VideoProcessor::qwen2_vl),
                       doctest::Contains("expected Qwen2VLVideoProcessor, got Qwen3VLVideoProcessor"), Error);
  folder.file("processor_config.json", R"({"image_processor": {"patch_size": 8, "resample": 2}})");
  CHECK(load_image_preprocessing(folder.path()).patches.patch_pixels == 8);
  CHECK(load_image_preprocessing(folder.path()).filter == ResizeFilter::bilinear);
  CHECK(load_video_preprocessing(folder.path(), VideoProcessor::qwen3_vl).cap_tokens == 99);
}

TEST_CASE("both forms of a budget are read, the older first") {
  const std::string both = R"({"size": {"shortest_edge": 1000, "longest_edge": 2000}, "min_pixels": 1500})";
  CHECK(image_settings(both).budget == PixelBudget{1500, 2000});
  CHECK(video_settings(both, VideoProcessor::qwen2_vl).budget == PixelBudget{1500, 2000});
  CHECK(video_settings(both, VideoProcessor::qwen3_vl).budget == PixelBudget{1000, 2000});
  CHECK(image_settings("{}").budget == PixelBudget{3136, 1003520});
  CHECK(video_settings("{}", VideoProcessor::qwen3_vl).budget == PixelBudget{131072, 786432});
}

TEST_CASE("settings that the processors do not have are errors that name the field") {
  const auto refused = [](const std::string& json, const std::string& message) {
    CAPTURE(json);
    CHECK_THROWS_WITH_AS(image_settings(json), doctest::Contains(message.c_str()), Error);
  };
  refused(R"({"do_resize": false})", "field do_resize: expected true");
  refused(R"({"rescale_factor": 0.5})", "field rescale_factor: expected 1/255");
  refused(R"({"resample": 1})", "field resample: expected 2 (bilinear) or 3 (bicubic), got 1");
  refused(R"({"image_mean": [0.5]})", "field image_mean: expected one number for each of 3 channels, got 1");
  refused(R"({"image_std": [0.5, 0, 1]})", "field image_std: expected numbers above 0");
  refused(R"({"patch_size": 0})", "field patch_size: expected 1 to 1024, got 0");
  refused(R"({"size": {"shortest_edge": 1000}})",
          "field size.longest_edge: expected a value, but the field is missing");
  refused(R"({"min_pixels": 2000, "max_pixels": 1000})", "expected no more pixels at least (2000) than at most (1000)");
  refused(R"({"image_processor_type": "CLIPImageProcessor"})", "field image_processor_type: expected Qwen2VL");
}

TEST_CASE("an input's places in a chat hold its placeholders; a video that tells its times has one for each") {
  const ChatTemplate chat = tiny_chat();
  const std::vector<VisionInput> inputs = {small_image(), told_video()};
  const std::vector<Token> tokens = prompt_of(chat, inputs);
  std::string pads;
  for (int i = 0; i < 6; ++i) pads += "<|video_pad|>";
  CHECK(chat.tokenizer().decode(tokens) ==
        "<|im_start|>user\n<|vision_start|><|image_pad|><|image_pad|><|image_pad|><|image_pad|><|vision_end|>"
        "<0.2 seconds><|vision_start|>" +
            pads + "<|vision_end|><1.5 seconds><|vision_start|>" + pads +
            "<|vision_end|>what was there?<|im_end|>\n<|im_start|>assistant\n");
  CHECK_NOTHROW(check_placeholders(tokens, chat.special_tokens(), inputs));
}

TEST_CASE("placeholders that are not an input's are errors that name it") {
  const ChatTemplate chat = tiny_chat();
  const std::vector<VisionInput> inputs = {small_image(), told_video()};
  const std::vector<Token> tokens = prompt_of(chat, inputs);
  const auto refused = [&](std::vector<Token> given, std::vector<VisionInput> of, const std::string& message,
                           const std::string& name) {
    const auto check = [&] { check_placeholders(given, chat.special_tokens(), of); };
    CHECK_THROWS_WITH_AS(check(), doctest::Contains(message.c_str()), Error);
    CHECK_THROWS_WITH_AS(check(), doctest::Contains(("where: " + name).c_str()), Error);
  };
  std::vector<Token> fewer = tokens;
  fewer.erase(std::find(fewer.begin(), fewer.end(), chat.special_tokens().video_pad));
  refused(fewer, inputs, "expected 6 video placeholders in slot 0, got 5 video placeholders at token", "told.mp4");
  refused(tokens, {told_video(), small_image()}, "expected 6 video placeholders in slot 0, got 4 image", "told.mp4");
  refused(tokens, {small_image()}, "expected placeholders of 1 pictures and videos, got more", "small.png");
  refused(tokens, {small_image(), told_video(), small_image()}, "got no more in the prompt", "small.png");
  VisionInput broken = small_image();
  broken.is_video = true;
  refused(tokens, {broken, told_video()}, "expected 4 video placeholders in slot 0, got 4 image", "small.png");
  broken = small_image();
  broken.grid.times = 2;
  refused(tokens, {broken}, "expected a grid of as many patches as there are rows, got a grid of 2 x 4 x 4",
          "small.png");
  broken = told_video();
  broken.time_stamps.pop_back();
  refused(tokens, {broken}, "expected a time step for each of 1 time stamps", "told.mp4");
  broken.merge = 4;
  refused(tokens, {broken}, "multiples of merge 4", "told.mp4");
}

TEST_CASE("patches that do not fit are errors") {
  const VisionPatchSettings settings{.patch_pixels = 4};
  std::vector<float> values(2000);
  CHECK(vision_grid(3, {8, 16}, settings) == VisionGrid{2, 2, 4});
  CHECK_THROWS_WITH_AS(vision_grid(1, {8, 12}, settings), doctest::Contains("multiples of 8 pixels, got 1 of 8 x 12"),
                       Error);
  const std::vector<Image> mixed = {Image(8, 8), Image(8, 16)};
  CHECK_THROWS_WITH_AS(write_vision_patches(mixed, settings, {values.data(), 4, 96, 96}),
                       doctest::Contains("pictures of one size"), Error);
  CHECK_THROWS_WITH_AS(write_vision_patches(std::vector<Image>(3, Image(8, 8)), settings, {values.data(), 4, 96, 96}),
                       doctest::Contains("as many as a patch has"), Error);
  CHECK_THROWS_WITH_AS(write_vision_patches(std::vector<Image>(1, Image(8, 8)), settings, {values.data(), 3, 96, 96}),
                       doctest::Contains("expected rows [4, 96], got [3, 96]"), Error);
}
