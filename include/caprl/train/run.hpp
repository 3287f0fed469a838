#pragma once

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caprl/core/hash.hpp"
#include "caprl/core/interrupt.hpp"
#include "caprl/core/log.hpp"
#include "caprl/core/threads.hpp"
#include "caprl/io/checkpoint_folder.hpp"
#include "caprl/io/file_descriptor.hpp"
#include "caprl/io/file_system.hpp"
#include "caprl/model/weights.hpp"
#include "caprl/nn/module.hpp"
#include "caprl/optim/adamw.hpp"
#include "caprl/optim/parameter_groups.hpp"
#include "caprl/optim/schedule.hpp"
#include "caprl/train/metrics.hpp"

namespace caprl {

struct RunSettings {
  std::filesystem::path folder;  ///< metrics.jsonl, timings.jsonl and checkpoints/ go here
  Index steps = 100;             ///< optimizer steps in all
  Index checkpoint_every = 20;   ///< steps between checkpoints; one is always saved at the end and at Ctrl-C
  Index keep_checkpoints = 2;
  AdamWSettings optimizer;
  LearningRate learning_rate;
  ParameterGroups groups{};        ///< what is frozen, and learning rates of its own; empty: all is trained alike
  Json recorded = Json::object();  ///< the settings that may not change when the run goes on
};

/// Puts the weights of the best checkpoint by validation of the run in `folder` in place, if there is one: those that
/// the run trained, which are those of `blocks` that are not frozen. Throws Error if there is no such run.
template <class T, class Device>
bool load_best(const std::filesystem::path& folder, const std::vector<NamedBlock<T, Device>>& blocks) {
  const auto place = folder / "checkpoints";
  const bool is_run = detail::with_file_errors("load_best", place, "check the path",
                                               [&] { return std::filesystem::is_directory(place); });
  require(is_run, "[load_best] expected a run with checkpoints, got none", folder.string());
  const auto best = CheckpointFolder(place).best();
  if (best) load_weights(trained_blocks(blocks), best->tensors("weights"));
  return best.has_value();
}

/// The part that every kind of training shares: the optimizer, its schedule, logs and checkpoints. Opened on a folder
/// that holds a checkpoint, it goes on from there, bit for bit as if it had never stopped. Checkpoints hold what is
/// trained: frozen tensors are those of the model that the run began with.
///
///     TrainingRun<float> run(settings, policy.blocks());
///     while (run.going()) {
///       ...                                  // add gradients
///       const double norm = run.update();
///       run.finish_step(metrics, timings);
///     }
template <class T, class Device = Cpu>
class TrainingRun {
 public:
  TrainingRun(const RunSettings& settings, std::vector<NamedBlock<T, Device>> blocks)
      : settings_(settings),
        trains_all_(settings.groups.empty() && trained_blocks(blocks).size() == blocks.size()),
        trained_(apply_groups(settings.groups, std::move(blocks))),
        optimizer_(trained_.parameters, settings.optimizer, trained_.learning_rate_factors),
        checkpoints_(settings.folder / "checkpoints", settings.keep_checkpoints) {
    require(settings_.checkpoint_every >= 1, "[TrainingRun] expected checkpoint_every of at least 1");
    settings_.recorded["run"] = recorded();
    std::filesystem::create_directories(settings.folder);
    folder_ = detail::FileDescriptor::open("open folder", settings.folder, O_RDONLY | O_DIRECTORY);
    detail::lock(folder_, settings.folder);
    checkpoints_.open_for_writing();
    if (const auto checkpoint = checkpoints_.latest()) resume(*checkpoint);
    log_.emplace(settings.folder, step_ - 1);
  }

  /// The step to do next, from 0; it is also the number of steps done.
  Index step() const { return step_; }
  Index steps() const { return settings_.steps; }
  bool going() const { return step_ < settings_.steps && !stopped_; }
  double learning_rate() const { return settings_.learning_rate(step_); }

  /// One optimizer step from the summed gradients. Returns their norm before clipping.
  double update() { return optimizer_.step(learning_rate()); }

  /// Records the step's figures and saves a checkpoint where one is due. With a validation `score`, one is saved in any
  /// case, and the checkpoint with the highest score is kept apart.
  void finish_step(const MetricsRow& metrics, const MetricsRow& timings, std::optional<double> score = {}) {
    log_->record(metrics);
    log_->record_timings(timings);
    ++step_;
    stopped_ = interrupted();  // asked once, so that a run that stops has saved
    require(!score || std::isfinite(*score), "[TrainingRun] expected a validation score, got a number that is none");
    const bool is_best = score && (!best_score_ || *score > *best_score_);
    if (is_best) {
      best_score_ = score;
      best_step_ = step_;
    }
    if (score || step_ % settings_.checkpoint_every == 0 || !going()) save();
    if (is_best) checkpoints_.keep_as_best(step_);
  }

  std::optional<double> best_score() const { return best_score_; }

 private:
  /// What decides the bytes of a run, whatever is trained. More steps than before are no other run, unless the learning
  /// rate depends on them.
  Json recorded() const {
    const AdamWSettings& adamw = settings_.optimizer;
    const LearningRate& rate = settings_.learning_rate;
    Json json = {{"threads", threads()},
                 {"optimizer",
                  {{"beta1", adamw.beta1},
                   {"beta2", adamw.beta2},
                   {"epsilon", adamw.epsilon},
                   {"weight_decay", adamw.weight_decay},
                   {"gradient_norm", adamw.gradient_norm}}},
                 {"learning_rate",
                  {{"peak", rate.peak},
                   {"warmup_steps", rate.warmup_steps},
                   {"decay_steps", rate.decay_steps},
                   {"final_share", rate.final_share}}}};
    if (!trains_all_) json["trained"] = recorded_trained();
    return json;
  }

  /// The groups in their order, and of the trained tensors how many there are and a hash of their names and sizes.
  Json recorded_trained() const {
    Json groups = Json::array();
    for (const ParameterGroup& group : settings_.groups) {
      groups.push_back({group.pattern, group.learning_rate_factor});
    }
    Fnv1a names;
    for (const auto& block : trained_.blocks) {
      names.add(block.name).add(static_cast<std::uint64_t>(block.of(block.parameter.value()).elements()));
    }
    return {{"groups", groups}, {"tensors", trained_.blocks.size()}, {"names_and_sizes", names.value()}};
  }

  /// Calls use(name, tensor) for each block of each optimizer average.
  template <class Use>
  void for_each_average(const Use& use) const {
    for (const auto& block : trained_.blocks) {
      for (const auto& state : optimizer_.states()) {
        if (!(state.parameter == block.parameter)) continue;
        use(block.name + ".first", block.of(state.first));
        use(block.name + ".second", block.of(state.second));
      }
    }
  }

  void save() {
    log_->sync();
    checkpoints_.save(step_, [&](CheckpointWriter& writer) {
      writer.tensors("weights", weight_tensors(trained_.blocks));
      std::vector<NamedTensor> averages;
      for_each_average(
          [&](const std::string& name, const auto& tensor) { averages.push_back(named_tensor(name, tensor)); });
      writer.tensors("optimizer", std::move(averages));
      Json state = {{"optimizer_steps", optimizer_.steps()}};
      if (best_score_) {
        state["best_score"] = *best_score_;
        state["best_step"] = best_step_;
      }
      writer.commit(state, settings_.recorded);
    });
  }

  void resume(const Checkpoint& checkpoint) {
    checkpoint.require_settings(settings_.recorded);
    load_weights(trained_.blocks, checkpoint.tensors("weights"));
    const SafetensorsFile averages = checkpoint.tensors("optimizer");
    for_each_average([&](const std::string& name, const auto& tensor) { read_into(averages, name, tensor); });
    const JsonFields state = checkpoint.state_fields();
    optimizer_.set_steps(state.get<Index>("optimizer_steps"));
    step_ = checkpoint.step();
    if (step_ < settings_.steps)
      log_info("goes on after step " + std::to_string(step_) + " of " + std::to_string(settings_.steps));
    if (!state.has("best_score")) return;
    best_score_ = state.get<double>("best_score");
    best_step_ = state.get<Index>("best_step");
    if (best_step_ == step_) checkpoints_.keep_as_best(step_);  // the run may have died after saving, before keeping it
  }

  RunSettings settings_;
  bool trains_all_;
  TrainedTensors<T, Device> trained_;
  AdamWOptimizer<T, Device> optimizer_;
  CheckpointFolder checkpoints_;
  detail::FileDescriptor folder_;  ///< locked: two runs in one would mix their lines
  std::optional<MetricsLog> log_;
  std::optional<double> best_score_;
  Index best_step_ = 0;
  Index step_ = 0;
  bool stopped_ = interrupted();
};

}  // namespace caprl
