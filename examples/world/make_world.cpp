// Writes an example world: pictures, clips, and data files in the schema of docs/data.md. See docs/world.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "caprl/core/progress.hpp"
#include "world/write_world.hpp"

int main(int argc, char** argv) {
  world::WorldSettings settings;
  std::string folder;
  CLI::App app("Writes scenes whose truth is known as PNG, JPEG and MP4 files with questions and captions.");
  app.add_option("--out", folder, "folder to write to")->required();
  app.add_option("--train-images", settings.images[0], "pictures to train on")->check(CLI::NonNegativeNumber);
  app.add_option("--validation-images", settings.images[1], "pictures to tune on")->check(CLI::NonNegativeNumber);
  app.add_option("--test-images", settings.images[2], "pictures to measure on")->check(CLI::NonNegativeNumber);
  app.add_option("--train-clips", settings.clips[0], "clips to train on")->check(CLI::NonNegativeNumber);
  app.add_option("--validation-clips", settings.clips[1], "clips to tune on")->check(CLI::NonNegativeNumber);
  app.add_option("--test-clips", settings.clips[2], "clips to measure on")->check(CLI::NonNegativeNumber);
  app.add_option("--longest-clip", settings.longest_clip, "seconds: short clips are a first lesson of what happens")
      ->capture_default_str()
      ->check(CLI::Range(world::shortest_clip_seconds, world::longest_clip_seconds));
  app.add_option("--seed", settings.seed, "another seed gives another world")->capture_default_str();
  app.add_option("--pixels", settings.pixels, "height and width")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    settings.folder = folder;
    const caprl::Index total = world::file_count(settings);
    caprl::require(total > 0, "[world_make] expected a number of pictures or clips, got none", {},
                   "give --train-images or another number; --help lists them");
    caprl::Progress progress("world", total);
    world::write_world(settings, [&](caprl::Index done) { progress.update(done); });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "world_make: %s\n", error.what());
    return 1;
  }
}
