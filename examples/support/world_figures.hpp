#pragma once

#include <string>
#include <vector>

#include "caprl/evaluate/bootstrap.hpp"
#include "caprl/io/json_file.hpp"
#include "support/evaluation.hpp"
#include "support/summary.hpp"
#include "world/answer.hpp"

/// Figures that only the example world has: its grammar reads captions without a model.
namespace examples {

/// The dense caption that the world's data has for each item. Throws Error for other data.
inline std::string true_caption(const caprl::CaptionItem& item) {
  const caprl::Json extra = caprl::parse_json(item.extra, item.where);
  if (!extra.contains("caption_dense")) {
    throw caprl::Error("[true_caption] expected the field caption_dense, got none", item.where);
  }
  return extra.at("caption_dense").get<std::string>();
}

/// For each item the share of its questions that the grammar answers rightly from the caption.
inline std::vector<double> grammar_accuracies(const std::vector<caprl::CaptionItem>& items,
                                              const Evaluation& evaluation) {
  std::vector<double> accuracies;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const world::ParsedCaption parsed = world::parse_caption(evaluation.captions[i].text);
    int right = 0;
    for (const caprl::Question& question : items[i].questions) {
      const auto chosen = world::answer(parsed, question);
      right += chosen && *chosen == question.gold;
    }
    accuracies.push_back(static_cast<double>(right) / static_cast<double>(items[i].questions.size()));
  }
  return accuracies;
}

/// For items that have such questions, the judge's mean accuracy on questions of kinds for which `wanted` is true.
template <class Wanted>
std::vector<double> accuracies_of_kinds(const std::vector<caprl::CaptionItem>& items, const Evaluation& evaluation,
                                        const Wanted& wanted) {
  std::vector<double> accuracies;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const caprl::Json extra = caprl::parse_json(items[i].extra, items[i].where);
    double sum = 0;
    int count = 0;
    for (std::size_t q = 0; q < items[i].questions.size(); ++q) {
      if (!wanted(world::question_kind(extra.at("kinds").at(q).get<std::string>()))) continue;
      sum += evaluation.judged[i].answers[q].options[static_cast<std::size_t>(items[i].questions[q].gold)];
      ++count;
    }
    if (count > 0) accuracies.push_back(sum / count);
  }
  return accuracies;
}

/// Chance: the mean over items of one over the number of options.
inline std::vector<double> chances(const std::vector<caprl::CaptionItem>& items) {
  std::vector<double> chances;
  for (const caprl::CaptionItem& item : items) {
    double sum = 0;
    for (const caprl::Question& question : item.questions) sum += 1.0 / static_cast<double>(question.options.size());
    chances.push_back(sum / static_cast<double>(item.questions.size()));
  }
  return chances;
}

/// Nothing for data that is not of the example world.
inline void add_world_figures(Summary& summary, const std::string& name, const std::string& which,
                              const std::vector<caprl::CaptionItem>& items, const Evaluation& evaluation) {
  if (evaluation.scores.empty()) return;
  summary.add(name + ".chance", caprl::bootstrap_mean(chances(items)));
  summary.add(figure_name(name, "accuracy.grammar", which),
              caprl::bootstrap_mean(grammar_accuracies(items, evaluation)));
  std::vector<caprl::ItemShare> unparsable;
  world::CaptionScore total;
  for (const world::CaptionScore& score : evaluation.scores) {
    unparsable.push_back({double(score.unparsable), double(score.sentences)});
    total += score;
  }
  summary.add(figure_name(name, "unparsable", which), caprl::bootstrap_share(unparsable));
  const auto temporal = accuracies_of_kinds(items, evaluation, world::is_temporal);
  if (temporal.empty()) return;
  summary.add(figure_name(name, "accuracy.temporal", which), caprl::bootstrap_mean(temporal));
  const auto time = accuracies_of_kinds(items, evaluation,
                                        [](world::QuestionKind kind) { return kind == world::QuestionKind::time; });
  if (!time.empty()) summary.add(figure_name(name, "accuracy.time", which), caprl::bootstrap_mean(time));
  if (total.times == 0) return;
  summary.add(figure_name(name, "times.mean_error_seconds", which), double(total.time_error_seconds) / total.times);
  summary.add(figure_name(name, "times.within_one_second", which), double(total.times_near) / total.times);
}

/// The differences that only the example world has; nothing for other data.
inline void add_world_gains(Summary& summary, const std::string& name, const std::string& which,
                            const std::vector<caprl::CaptionItem>& items, const Evaluation& before,
                            const Evaluation& after) {
  if (after.scores.empty()) return;
  summary.add(figure_name(name, "accuracy.grammar.gain", which),
              caprl::bootstrap_difference(grammar_accuracies(items, after), grammar_accuracies(items, before)));
  const auto temporal = accuracies_of_kinds(items, after, world::is_temporal);
  if (temporal.empty()) return;
  summary.add(figure_name(name, "accuracy.temporal.gain", which),
              caprl::bootstrap_difference(temporal, accuracies_of_kinds(items, before, world::is_temporal)));
}

}  // namespace examples
