/// Reinforces a video captioner: accuracy of a judge that reads the caption, and legal, ordered time stamps. Images
/// among the data keep what it knows of them.
///
///     caption_videos --data videos.jsonl images.jsonl --validation validation.jsonl --test test.jsonl
///                    --model base --judge judge --out build/run
#include "caprl/data/load_media.hpp"
#include "caprl/data/read_durations.hpp"
#include "caprl/judge/stamp_term.hpp"
#include "caprl/judge/weighted_sum.hpp"
#include "support/frame_options.hpp"
#include "support/reinforce.hpp"

int main(int argc, char** argv) {
  using namespace caprl;
  examples::ReinforceOptions options;
  FixedRate frames = examples::default_frames();
  double stamp_weight = 0.2;
  CLI::App app("Reinforces a video captioner with questions that a judge answers from its captions alone.");
  examples::add_reinforce_options(app, options);
  examples::add_frame_options(app, frames);
  app.add_option("--stamp-weight", stamp_weight, "Weight of the time stamps' form in the reward")
      ->capture_default_str();
  return examples::run_program(argc, argv, app, [&] {
    const auto with_stamps = [&](auto judge) {
      return WeightedSum{Weighted{std::move(judge), 1.0}, Weighted{StampTerm{}, stamp_weight}};
    };
    options.recorded = {{"frames_per_second", frames.frames_per_second},
                        {"maximum_frames", frames.maximum},
                        {"stamp_weight", stamp_weight}};
    const Index side = read_tiny_vlm_settings(options.model / "config.json").vision.image_size;
    const auto stage = examples::reinforce(options, "video", LoadMedia<FixedRate>{frames, {side, side}}, with_stamps,
                                           [](std::vector<CaptionItem>& items) { read_durations(items); });
    if (stage && !options.no_report) examples::write_training_report({&*stage, 1}, options.out);
  });
}
