/// Captions images and videos with a trained folder, or one of Qwen2.5-VL or Qwen3-VL: files, folders of files, or a
/// JSON Lines data file.
///
///     caption --model build/quickstart/image/model picture.png folder/ clip.mp4
///     caption --model build/quickstart/image/model --data test.jsonl --out captions.jsonl
///     caption --model Qwen2.5-VL-3B-Instruct --stream photos/ clip.mp4
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caprl/core/hash.hpp"
#include "caprl/core/log.hpp"
#include "caprl/core/progress.hpp"
#include "caprl/core/random.hpp"
#include "caprl/core/stop_watch.hpp"
#include "caprl/data/caption_data.hpp"
#include "caprl/data/media_folder.hpp"
#include "caprl/evaluate/caption_prompts.hpp"
#include "caprl/io/checkpoint.hpp"
#include "caprl/io/fingerprint.hpp"
#include "caprl/io/jsonl.hpp"
#include "caprl/model/generation_config.hpp"
#include "caprl/policy/any_vlm_policy.hpp"
#include "caprl/sampling/greedy.hpp"
#include "caprl/sampling/sample.hpp"
#include "caprl/text/streaming_decoder.hpp"
#include "support/captioner_defaults.hpp"
#include "support/captioner_media.hpp"
#include "support/program.hpp"

using namespace caprl;

namespace {

struct Options {
  std::filesystem::path model, adapter, data, out;
  std::vector<std::filesystem::path> media;
  // Where none is given: what suits the captioner.
  std::optional<std::string> image_prompt = {}, video_prompt = {};
  std::optional<Index> maximum_tokens = {};
  double temperature = 0;
  bool published_sampling = false;
  Index batch = 32;
  Index samples = 1;
  bool other_media = false;
  bool shuffle_frames = false;
  bool stream = false;
  std::uint64_t seed = 0;
  examples::FrameOptions frames;
};

/// Files of several folders may have the same name: the ids of `files`, the last of the items, are their paths then.
void tell_apart(std::span<const CaptionItem> items, std::span<CaptionItem> files) {
  std::map<std::string, int> count;
  for (const CaptionItem& item : items) ++count[item.id];
  for (CaptionItem& file : files) {
    if (count[file.id] > 1) file.id = file.media.front().path.generic_string();
  }
}

std::vector<CaptionItem> items_of(const Options& options, const MediaPrompts& defaults) {
  std::vector<CaptionItem> items;
  if (!options.data.empty()) items = load_caption_data(options.data, {.keep_extra = true, .require_questions = false});
  const std::size_t of_data = items.size();
  const MediaPrompts prompts{options.image_prompt.value_or(defaults.image),
                             options.video_prompt.value_or(defaults.video)};
  for (const auto& path : options.media) {
    if (std::filesystem::is_directory(path)) {
      for (CaptionItem& item : load_media_folder(path, prompts)) items.push_back(std::move(item));
    } else {
      items.push_back(item_of_file(path, prompts));
    }
  }
  require(!items.empty(), "[caption] expected files, folders or --data, got nothing to caption");
  tell_apart(items, std::span(items).subspan(of_data));
  if (options.other_media) {
    for (std::size_t i = 0; i + 1 < items.size(); ++i) std::swap(items[i].media, items[i + 1].media);
  }
  return items;
}

/// Reads an item's media; with --shuffle-frames the pictures of a clip change places, while the times stay.
struct Load {
  examples::CaptionerMedia media;
  bool shuffle_frames;

  std::vector<Clip> operator()(const CaptionItem& item) const {
    std::vector<Clip> clips = media(item);
    if (!shuffle_frames) return clips;
    RandomStream random({.seed = Fnv1a().add(item.id).value(), .purpose = Purpose::example});
    for (Clip& clip : clips) {
      std::vector<Image> images;
      for (Frame& frame : clip.frames) images.push_back(std::move(frame.image));
      random.shuffle(images);
      for (std::size_t f = 0; f < images.size(); ++f) clip.frames[f].image = std::move(images[f]);
    }
    return clips;
  }
};

/// What the items ask for and what their media hold: pictures of the same names may be others.
std::string fingerprint_of(const std::vector<CaptionItem>& items) {
  Fnv1a hash;
  for (const CaptionItem& item : items) {
    hash.add(item.id + "\n" + item.system + "\n" + item.prompt + "\n");
    for (const MediaFile& file : item.media) hash.add(fingerprint(file.path) + "\n");
  }
  return hexadecimal(hash.value());
}

/// What decides the captions of a file.
Json settings_of(const Options& options, const std::vector<CaptionItem>& items,
                 const examples::CaptionerFrames& frames) {
  Json settings = {{"model", fingerprint(options.model)},
                   {"items", fingerprint_of(items)},
                   {"temperature", options.temperature},
                   {"maximum_tokens", *options.maximum_tokens},
                   {"samples", options.samples},
                   {"other_media", options.other_media},
                   {"shuffle_frames", options.shuffle_frames},
                   {"seed", options.seed},
                   {"frames", frames.recorded()}};
  if (!options.adapter.empty()) settings["adapter"] = fingerprint(options.adapter);
  if (options.published_sampling) settings["published_sampling"] = true;
  return settings;
}

/// Lines of `out` that an earlier run with the same settings has written: their items are not captioned again. The
/// settings stand in a file beside it. Throws Error that names a setting that is another now.
std::size_t lines_written(const std::filesystem::path& out, const Json& settings) {
  const auto beside = std::filesystem::path(out) += ".settings.json";
  if (!std::filesystem::exists(out)) {
    write_file_atomically(beside, settings.dump(2) + "\n");
    return 0;
  }
  if (!std::filesystem::exists(beside)) {
    throw Error("[--out] expected a new file, or one with its settings in " + beside.string() + ", got one without",
                out.string(), "name another file");
  }
  require_same_settings(load_json(beside), settings, beside.string());
  std::size_t lines = 0;
  for_each_json_line(out, [&](const Json&, const std::string&) { ++lines; });
  return lines;
}

Json caption_json(const Caption& caption) {
  return {{"caption", caption.text}, {"tokens", caption.tokens}, {"truncated", caption.truncated}};
}

/// One line an item, so that the lines of a file say how far a run came; several captions as a list "captions".
Json line_of(const CaptionItem& item, const RolloutGroup& captions) {
  Json line = captions.size() == 1 ? caption_json(captions.front().caption) : Json::object();
  line["id"] = item.id;
  if (captions.size() == 1) return line;
  for (const Rollout& rollout : captions) line["captions"].push_back(caption_json(rollout.caption));
  return line;
}

constexpr const char* cut_mark = " [cut at --maximum-tokens]";

void print_name(const CaptionItem& item) { std::printf("%s\n", item.media.front().path.c_str()); }

void print(const CaptionItem& item, const RolloutGroup& captions) {
  print_name(item);
  for (const Rollout& rollout : captions) {
    std::printf("  %s%s\n", rollout.caption.text.c_str(), rollout.caption.truncated ? cut_mark : "");
  }
}

using AnySampler = std::variant<Greedy, Sample<Temperature>, PublishedSampler>;

AnySampler sampler_of(const Options& options) {
  if (options.published_sampling) return published_sampler(load_generation_config(options.model));
  if (options.temperature > 0) return Sample{Temperature{options.temperature}};
  return Greedy{};
}

/// Says so where captions of an item cannot differ.
void warn_of_equal_captions(const Options& options) {
  const bool draws = options.published_sampling ? load_generation_config(options.model).draws : options.temperature > 0;
  if (options.samples == 1 || draws) return;
  log_warning("the " + std::to_string(options.samples) + " captions of each item will be the same: " +
              (options.published_sampling ? "the model's generation_config.json does not say do_sample"
                                          : "only a --temperature above 0 draws them"));
}

/// Captions items, the first of which is number `first` of all.
using Captioner = std::function<std::vector<RolloutGroup>(std::span<const CaptionItem> items, std::size_t first)>;

Captioner captioner(const AnyVlmPolicy& policy, const Load& load, const Options& options) {
  return [&, sampler = sampler_of(options)](std::span<const CaptionItem> items, std::size_t first) {
    std::vector<VlmPrompt> prompts;
    for (const CaptionItem& item : items) prompts.push_back(policy.encode(item, load(item)));
    const CaptionSettings settings{
        .samples = options.samples, .maximum_tokens = *options.maximum_tokens, .seed = options.seed};
    const auto draw = [&](const auto& by) {
      return caption_prompts(policy, std::span<const VlmPrompt>(prompts), by, settings, first);
    };
    return std::visit(draw, sampler);
  };
}

/// Prints one caption for each item, each as it is written.
void stream_all(const Options& options, std::span<const CaptionItem> items, const AnyVlmPolicy& policy,
                const Load& load) {
  const AnySampler sampler = sampler_of(options);
  for (std::size_t i = 0; i < items.size(); ++i) {
    print_name(items[i]);
    std::printf("  ");
    StreamingDecoder text(policy.tokenizer());
    GenerateSettings settings{.samples = 1,
                              .maximum_tokens = *options.maximum_tokens,
                              .seed = options.seed,
                              .item_keys = {static_cast<std::uint32_t>(i)}};
    settings.on_token = [&](const DrawnToken& drawn) {
      if (std::ranges::find(policy.end_tokens(), drawn.token) != policy.end_tokens().end()) return;
      std::fputs(text.push(drawn.token).c_str(), stdout);
      std::fflush(stdout);
    };
    const std::vector<VlmPrompt> prompts{policy.encode(items[i], load(items[i]))};
    const auto draw = [&](const auto& by) {
      return policy.generate(std::span<const VlmPrompt>(prompts), by, settings);
    };
    const bool truncated = std::visit(draw, sampler).front().front().caption.truncated;
    std::printf("%s%s\n", text.finish().c_str(), truncated ? cut_mark : "");
  }
}

/// Captions what is not done yet; to a file unless `out` is empty.
void caption_all(const Options& options, std::span<const CaptionItem> items, std::size_t done,
                 const Captioner& captions_of) {
  std::optional<JsonlWriter> writer;
  std::optional<Progress> progress;
  if (!options.out.empty()) {
    writer.emplace(options.out);
    progress.emplace("captioning", static_cast<Index>(items.size()), static_cast<Index>(done));
  }
  while (done < items.size()) {
    const auto batch = items.subspan(done, std::min(items.size() - done, static_cast<std::size_t>(options.batch)));
    const auto captions = captions_of(batch, done);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      writer ? writer->write_line(line_of(batch[i], captions[i]).dump()) : print(batch[i], captions[i]);
    }
    done += batch.size();
    if (progress) progress->update(static_cast<Index>(done));
  }
}

void run(Options options) {
  const examples::CaptionerDefaults defaults = examples::captioner_defaults(options.model, false);
  options.maximum_tokens = options.maximum_tokens.value_or(defaults.caption_tokens);
  const std::vector<CaptionItem> items = items_of(options, defaults.prompts);
  StopWatch watch;
  const AnyVlmPolicy policy = load_vlm_policy(options.model, {}, options.adapter);
  std::fprintf(stderr, "loaded %s in %.1f s\n", options.model.c_str(), watch.lap());
  const Load load{examples::captioner_media(policy.model(), options.model, options.frames), options.shuffle_frames};
  if (options.stream) return stream_all(options, items, policy, load);
  warn_of_equal_captions(options);
  std::size_t done = 0;
  if (!options.out.empty()) done = lines_written(options.out, settings_of(options, items, load.media.sampler));
  caption_all(options, items, done, captioner(policy, load, options));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Captions images and videos.");
  app.add_option("media", options.media, "Files and folders")->check(CLI::ExistingPath);
  app.add_option("--model", options.model, "Folder of the captioner")->required()->check(CLI::ExistingDirectory);
  app.add_option("--adapter", options.adapter, "PEFT folder of an adapter for the captioner")
      ->check(CLI::ExistingDirectory);
  app.add_option("--data", options.data, "JSON Lines data file")->check(CLI::ExistingFile);
  auto* out = app.add_option("--out", options.out, "JSON Lines file to write; a run that was stopped goes on there");
  app.add_option("--image-prompt", options.image_prompt,
                 "For files and folders (default: \"Please describe this image in detail.\"; of a small captioner the "
                 "example world's)");
  app.add_option("--video-prompt", options.video_prompt, "The same for videos");
  auto* temperature = app.add_option("--temperature", options.temperature, "0: the likeliest token each time")
                          ->capture_default_str()
                          ->check(CLI::NonNegativeNumber);
  app.add_flag("--published-sampling", options.published_sampling, "Draw as the model's generation_config.json says")
      ->excludes(temperature);
  app.add_option("--maximum-tokens", options.maximum_tokens,
                 "Length limit of a caption (default: 1024, of a small captioner 128)")
      ->check(CLI::PositiveNumber);
  auto* samples = app.add_option("--samples", options.samples, "Captions for each item")
                      ->capture_default_str()
                      ->check(CLI::PositiveNumber);
  app.add_flag("--other-media", options.other_media, "Show each item the media of the next one: a control");
  app.add_flag("--shuffle-frames", options.shuffle_frames, "Show a clip's frames in random order: a control");
  auto* batch =
      app.add_option("--batch", options.batch, "Items at once")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_flag("--stream", options.stream, "Print each caption while it is written, one item after the other")
      ->excludes(out)
      ->excludes(samples)
      ->excludes(batch);
  app.add_option("--seed", options.seed, "Of the draws")->capture_default_str();
  examples::add_frame_options(app, options.frames);
  examples::add_threads_option(app);
  return examples::run_program(argc, argv, app, [&] { run(options); });
}
