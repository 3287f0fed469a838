/// Captions images and videos with a trained folder: files, folders of files, or a JSON Lines data file.
///
///     caption --model build/quickstart/model picture.png folder/ clip.mp4
///     caption --model build/quickstart/model --data test.jsonl --out captions.jsonl
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "caprl/core/progress.hpp"
#include "caprl/data/caption_data.hpp"
#include "caprl/data/load_media.hpp"
#include "caprl/data/media_folder.hpp"
#include "caprl/evaluate/caption_accuracy.hpp"
#include "caprl/frames/fixed_rate.hpp"
#include "caprl/io/jsonl.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/sampling/greedy.hpp"
#include "caprl/sampling/sample.hpp"
#include "support/program.hpp"

using namespace caprl;

namespace {

struct Options {
  std::filesystem::path model, data, out;
  std::vector<std::filesystem::path> media;
  std::string image_prompt = "describe the image in detail .";
  std::string video_prompt = "describe the video in detail with times .";
  double temperature = 0;
  Index maximum_tokens = 128;
  Index batch = 32;
  std::uint64_t seed = 0;
  FixedRate frames{.frames_per_second = 1, .minimum = 1, .maximum = 16};
};

std::vector<CaptionItem> items_of(const Options& options) {
  std::vector<CaptionItem> items;
  if (!options.data.empty()) items = load_caption_data(options.data, {.keep_extra = true, .require_questions = false});
  const MediaPrompts prompts{options.image_prompt, options.video_prompt};
  for (const auto& path : options.media) {
    if (std::filesystem::is_directory(path)) {
      for (CaptionItem& item : load_media_folder(path, prompts)) items.push_back(std::move(item));
    } else {
      items.push_back(item_of_file(path, prompts));
    }
  }
  require(!items.empty(), "[caption] expected files, folders or --data, got nothing to caption");
  return items;
}

/// Lines that an earlier run has written: their items are not captioned again.
std::size_t lines_written(const std::filesystem::path& path) {
  std::size_t lines = 0;
  if (std::filesystem::exists(path)) for_each_json_line(path, [&](const Json&, const std::string&) { ++lines; });
  return lines;
}

template <Sampler S>
void caption_all(const Options& options, const S& sampler) {
  const auto folder = load_tiny_vlm(options.model);
  const TinyVlmPolicy<> policy(folder.model, folder.tokenizer);
  const Index side = folder.model.settings.vision.image_size;
  const LoadMedia<FixedRate> load{options.frames, {side, side}};
  const std::vector<CaptionItem> items = items_of(options);
  const bool to_file = !options.out.empty();
  std::size_t done = to_file ? lines_written(options.out) : 0;
  std::optional<JsonlWriter> writer;
  std::optional<Progress> progress;
  if (to_file) {
    writer.emplace(options.out);
    progress.emplace("captioning", static_cast<Index>(items.size()), static_cast<Index>(done));
  }
  while (done < items.size()) {
    const std::size_t end = std::min(items.size(), done + static_cast<std::size_t>(options.batch));
    std::vector<const CaptionItem*> batch;
    for (std::size_t i = done; i < end; ++i) batch.push_back(&items[i]);
    const auto rollouts = caption_items(policy, std::span<const CaptionItem* const>(batch), load, sampler,
                                        options.maximum_tokens, options.seed + done);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const Caption& caption = rollouts[i].caption;
      if (to_file) {
        writer->write_line(Json{{"id", batch[i]->id}, {"caption", caption.text}, {"truncated", caption.truncated}}.dump());
      } else {
        std::printf("%s\n  %s\n", batch[i]->media.front().path.c_str(), caption.text.c_str());
      }
    }
    done = end;
    if (progress) progress->update(static_cast<Index>(done));
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Captions images and videos.");
  app.add_option("media", options.media, "Files and folders")->check(CLI::ExistingPath);
  app.add_option("--model", options.model, "Folder of the captioner")->required()->check(CLI::ExistingDirectory);
  app.add_option("--data", options.data, "JSON Lines data file")->check(CLI::ExistingFile);
  app.add_option("--out", options.out, "JSON Lines file to write; a run that was stopped goes on there");
  app.add_option("--image-prompt", options.image_prompt, "For files and folders")->capture_default_str();
  app.add_option("--video-prompt", options.video_prompt, "For files and folders")->capture_default_str();
  app.add_option("--temperature", options.temperature, "0: the likeliest token each time")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--maximum-tokens", options.maximum_tokens, "Length limit of a caption")->capture_default_str();
  app.add_option("--batch", options.batch, "Items at once")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--seed", options.seed, "Of the draws")->capture_default_str();
  app.add_option("--frames-per-second", options.frames.frames_per_second, "Of videos")->capture_default_str();
  app.add_option("--maximum-frames", options.frames.maximum, "Of videos")->capture_default_str();
  examples::add_threads_option(app);
  return examples::run_program(argc, argv, app, [&] {
    if (options.temperature > 0) {
      caption_all(options, Sample{Temperature{options.temperature}});
    } else {
      caption_all(options, Greedy{});
    }
  });
}
