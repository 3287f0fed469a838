/// Reinforces a video captioner: accuracy of a judge that reads the caption, and legal, ordered time stamps. Images
/// among the data keep what it knows of them.
///
///     caption_videos --data videos.jsonl images.jsonl --validation validation.jsonl --test test.jsonl
///                    --model base --judge judge --out build/run
#include "support/reinforce.hpp"

int main(int argc, char** argv) {
  examples::ReinforceOptions options;
  options.stamp_weight = 0.2;
  CLI::App app("Reinforces a video captioner with questions that a judge answers from its captions alone.");
  examples::add_reinforce_options(app, options);
  examples::add_frame_options(app, options.frames);
  app.add_option("--stamp-weight", options.stamp_weight, "Weight of the time stamps' form in the reward")
      ->capture_default_str();
  return examples::run_program(argc, argv, app, [&] { examples::reinforce(options, "video"); });
}
