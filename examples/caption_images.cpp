/// Reinforces an image captioner: captions from which a judge answers more questions become more likely.
///
///     caption_images --data train.jsonl --validation validation.jsonl --test test.jsonl
///                    --model base --judge judge --out build/run
#include "support/reinforce.hpp"

int main(int argc, char** argv) {
  examples::ReinforceOptions options;
  CLI::App app("Reinforces an image captioner with questions that a judge answers from its captions alone.");
  examples::add_reinforce_options(app, options);
  return examples::run_program(argc, argv, app, [&] { examples::reinforce(options, "image"); });
}
