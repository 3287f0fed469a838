#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "caprl/data/load_media.hpp"
#include "caprl/frames/fixed_rate.hpp"
#include "caprl/frames/key_frames.hpp"
#include "caprl/frames/scene_change.hpp"
#include "caprl/frames/uniform.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "support/policy_laws.hpp"
#include "support/skipped.hpp"
#include "support/tiny_world.hpp"

/// Photographs and clips that we did not make, from the file to captions and their log-probabilities.
using namespace caprl;
using namespace caprl::test;

namespace {

const std::filesystem::path found_media = "/usr/share/doc/opencv-doc/examples/data";

bool have_found_media() {
  const bool found = std::filesystem::exists(found_media);
  if (!found) report_skipped(found_media.string() + " of Debian's opencv-doc");
  return found;
}

TinyVlmPolicy<> small_policy() {
  const Tokenizer tokenizer = small_tokenizer();
  return TinyVlmPolicy<>(small_vlm(tokenizer), tokenizer);
}

CaptionItem item_of(MediaKind kind, const std::string& name) {
  CaptionItem item = image_item();
  item.media = {{kind, found_media / name}};
  item.where = name;
  return item;
}

/// The clip goes through the policy's prompt; returns the prompt.
VlmPrompt prompt_of(const TinyVlmPolicy<>& policy, const CaptionItem& item, const std::vector<Clip>& media) {
  const VlmPrompt prompt = policy.encode(item, media);
  CHECK(prompt.pictures.size() == media.front().frames.size());
  for (const Picture& picture : prompt.pictures) {
    for (const float value : picture.pixels.span()) REQUIRE(std::abs(value) < 10);
  }
  return prompt;
}

template <FrameSampler Frames>
VlmPrompt check_clip(const TinyVlmPolicy<>& policy, const std::string& name, const Frames& frames, Index maximum) {
  const CaptionItem item = item_of(MediaKind::video, name);
  const auto media = LoadMedia<Frames>{frames, {16, 16}}(item);
  REQUIRE(media.size() == 1);
  CAPTURE(name);
  CHECK(media[0].frames.size() >= 1);
  CHECK(static_cast<Index>(media[0].frames.size()) <= maximum);
  CHECK(media[0].duration_seconds > 1);
  for (std::size_t f = 0; f < media[0].frames.size(); ++f) {
    CHECK(media[0].frames[f].image.height == 16);
    CHECK(media[0].frames[f].seconds < media[0].duration_seconds);
    if (f > 0) CHECK(media[0].frames[f].seconds > media[0].frames[f - 1].seconds);
  }
  return prompt_of(policy, item, media);
}

}  // namespace

TEST_CASE("photographs that we did not make, through the reader and the policy") {
  if (!have_found_media()) return;
  const auto policy = small_policy();
  std::vector<VlmPrompt> prompts;
  for (const char* name : {"fruits.jpg", "baboon.jpg", "messi5.jpg", "building.jpg", "aloeL.jpg", "cards.png",
                           "basketball1.png", "graf1.png", "home.jpg"}) {
    const CaptionItem item = item_of(MediaKind::image, name);
    prompts.push_back(prompt_of(policy, item, LoadMedia<Uniform>{}(item)));
  }
  for (std::size_t p = 1; p < prompts.size(); ++p) {
    CHECK(prompts[p].pictures[0].hash != prompts[p - 1].pictures[0].hash);
    CHECK(prompts[p].tokens.size() == prompts[0].tokens.size());
  }
  check_policy_laws(policy, std::span<const VlmPrompt>(prompts), 12);
}

TEST_CASE("clips that we did not make, through the reader, each frame sampler and the policy") {
  if (!have_found_media()) return;
  const auto policy = small_policy();
  for (const char* name : {"tree.avi", "Megamind.avi"}) {
    std::vector<VlmPrompt> prompts;
    prompts.push_back(check_clip(policy, name, Uniform{.frames = 5}, 5));
    prompts.push_back(check_clip(policy, name, FixedRate{.frames_per_second = 1, .minimum = 2, .maximum = 7}, 7));
    prompts.push_back(check_clip(policy, name, KeyFrames{.maximum = 6}, 6));
    prompts.push_back(check_clip(policy, name, SceneChange{.maximum = 4}, 4));
    CHECK(prompts[0].pictures.size() == 5);
    check_policy_laws(policy, std::span<const VlmPrompt>(prompts).first(2), 10);
  }
}
