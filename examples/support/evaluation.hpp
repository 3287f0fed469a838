#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/evaluate/bootstrap.hpp"
#include "caprl/evaluate/caption_accuracy.hpp"
#include "caprl/io/json_file.hpp"
#include "support/summary.hpp"
#include "world/scene_json.hpp"
#include "world/score.hpp"

/// What is measured of a captioner on held-out items.
namespace examples {

/// One captioner's captions of a list of items, judged; `scores` only for items of the example world.
struct Evaluation {
  std::vector<caprl::Caption> captions;
  std::vector<caprl::ItemAccuracy> judged;
  std::vector<world::CaptionScore> scores;
  bool by_policy = true;  ///< who wrote the captions: lengths of others, and of none at all, are no figures

  std::vector<double> accuracies() const {
    std::vector<double> values;
    for (const caprl::ItemAccuracy& item : judged) values.push_back(item.accuracy);
    return values;
  }
  std::vector<double> abstentions() const {
    std::vector<double> values;
    for (const caprl::ItemAccuracy& item : judged) values.push_back(item.abstain);
    return values;
  }
  std::vector<double> lengths() const {
    std::vector<double> values;
    for (const caprl::Caption& caption : captions) values.push_back(static_cast<double>(caption.tokens));
    return values;
  }
  std::vector<caprl::ItemShare> recall_shares() const {
    std::vector<caprl::ItemShare> shares;
    for (const world::CaptionScore& score : scores) shares.push_back({double(score.stated), double(score.facts)});
    return shares;
  }
  std::vector<caprl::ItemShare> precision_shares() const {
    std::vector<caprl::ItemShare> shares;
    for (const world::CaptionScore& score : scores) shares.push_back({double(score.true_claims), double(score.claims)});
    return shares;
  }
};

/// The grammar program's count for a caption of an item of the example world; nothing for other items.
inline std::optional<world::CaptionScore> world_score(const caprl::CaptionItem& item, const std::string& caption) {
  if (item.extra.empty()) return std::nullopt;
  const caprl::Json extra = caprl::parse_json(item.extra, item.where);
  if (!extra.contains("scene") || !extra.contains("caption_timeline")) return std::nullopt;  // a user's own "scene"
  const world::Json& scene = extra.at("scene");
  const world::ParsedCaption parsed = world::parse_caption(caption);
  if (world::is_clip_json(scene)) return world::score_caption(parsed, world::clip_from_json(scene, item.where));
  return world::score_caption(parsed, world::scene_from_json(scene, item.where));
}

/// Given captions, one for each item, that a judge has answered from.
inline Evaluation evaluation_of(std::span<const caprl::CaptionItem* const> items, std::vector<caprl::Caption> captions,
                                std::vector<caprl::ItemAccuracy> judged) {
  Evaluation evaluation;
  evaluation.judged = std::move(judged);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (const auto score = world_score(*items[i], captions[i].text)) evaluation.scores.push_back(*score);
  }
  if (evaluation.scores.size() != items.size()) evaluation.scores.clear();
  evaluation.captions = std::move(captions);
  return evaluation;
}

/// Judges given captions, one for each item.
template <class T>
Evaluation evaluate_captions(const caprl::ExactJudge<T>& judge, std::span<const caprl::CaptionItem* const> items,
                             std::vector<caprl::Caption> captions) {
  auto judged = caprl::caption_accuracy(judge, items, captions);
  return evaluation_of(items, std::move(captions), std::move(judged));
}

/// Without a caption there is nothing to abstain for: what is left are the options.
inline void leave_out_abstaining(std::span<const caprl::CaptionItem* const> items, Evaluation& evaluation) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    double sum = 0;
    auto& answers = evaluation.judged[i].answers;
    for (std::size_t q = 0; q < answers.size(); ++q) {
      double all = 0;
      for (const double option : answers[q].options) all += option;
      for (double& option : answers[q].options) option /= all;
      sum += answers[q].options[static_cast<std::size_t>(items[i]->questions[q].gold)];
    }
    evaluation.judged[i].accuracy = sum / static_cast<double>(answers.size());
  }
}

/// The first caption of each item.
inline std::vector<caprl::Caption> first_captions(std::span<const std::vector<caprl::Caption>> captions) {
  std::vector<caprl::Caption> first;
  for (const auto& of_item : captions) first.push_back(of_item.front());
  return first;
}

/// `prefix`.accuracy.`which` and the like; `intervals`: how theirs are drawn.
inline void add_figures(Summary& summary, const std::string& prefix, const std::string& which,
                        const Evaluation& evaluation, const caprl::BootstrapSettings& intervals = {}) {
  summary.add(figure_name(prefix, "accuracy", which), caprl::bootstrap_mean(evaluation.accuracies(), intervals));
  summary.add(figure_name(prefix, "abstain", which), caprl::bootstrap_mean(evaluation.abstentions(), intervals));
  if (evaluation.by_policy) {
    summary.add(figure_name(prefix, "caption_tokens", which), caprl::bootstrap_mean(evaluation.lengths(), intervals));
  }
  if (evaluation.scores.empty()) return;
  summary.add(figure_name(prefix, "recall", which), caprl::bootstrap_share(evaluation.recall_shares(), intervals));
  summary.add(figure_name(prefix, "precision", which),
              caprl::bootstrap_share(evaluation.precision_shares(), intervals));
}

}  // namespace examples
