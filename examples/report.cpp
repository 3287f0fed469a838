/// Puts several runs of reinforcement into one report: one after the other, as stages.
///
///     report build/run/image build/run/video --out build/run
#include <filesystem>
#include <string>
#include <vector>

#include "support/program.hpp"
#include "support/training_report.hpp"

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> folders;
  std::vector<std::string> extra;
  std::filesystem::path out;
  CLI::App app("Puts several runs of caption_images and caption_videos into one report.html and summary.json.");
  app.add_option("runs", folders, "Their folders, in order")->required()->check(CLI::ExistingDirectory);
  app.add_option("--out", out, "Folder to write to")->required();
  app.add_option("--figure", extra, "name=number: another figure for summary.json, such as seconds.build=80");
  return examples::run_program(argc, argv, app, [&] {
    std::vector<examples::Stage> stages;
    for (const auto& folder : folders) stages.push_back(examples::load_stage(folder));
    const examples::Summary figures = examples::parse_figures(extra);
    std::filesystem::create_directories(out);
    examples::write_training_report(stages, out, figures);
  });
}
