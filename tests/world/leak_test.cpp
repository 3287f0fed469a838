// What can be known of the answers without seeing: by a classifier that reads the questions and options of an item, by
// constant captions, by captions of other items.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "caprl/core/hash.hpp"
#include "world/answer.hpp"
#include "world/items.hpp"

using world::Split;
using world::WorldQuestion;

namespace {

constexpr std::uint32_t train_items = 2500;
constexpr std::uint32_t test_items = 2500;

using Item = std::vector<WorldQuestion>;

/// The features of one option, hashed: the option in its question, and with everything else that the item's questions
/// say.
std::vector<std::uint32_t> features(const Item& item, std::size_t question, std::size_t option) {
  const auto& asked = item[question].question;
  const std::string& text = asked.options[option];
  const std::string kind = std::to_string(static_cast<int>(item[question].ask.kind)) + " ";
  std::vector<std::string> names = {kind + text, asked.text + text, kind + "letter" + std::to_string(option),
                                    kind + "items" + std::to_string(item.size()) + text};
  std::size_t rank = 0;
  for (const std::string& other : asked.options) {
    rank += other < text;
    if (other != text) names.push_back(kind + text + " not " + other);
  }
  names.push_back(kind + "rank" + std::to_string(rank));
  std::size_t elsewhere = 0;
  for (std::size_t i = 0; i < item.size(); ++i) {
    if (i == question) continue;
    const auto& other = item[i].question;
    const bool offered = std::find(other.options.begin(), other.options.end(), text) != other.options.end();
    elsewhere += offered;
    names.push_back(kind + text + " beside " + other.text);
    names.push_back(kind + "offered " + std::to_string(offered) + " " + other.text);
    names.push_back(kind + "named " + std::to_string(other.text.find(text) != std::string::npos));
    for (const std::string& choice : other.options) names.push_back(kind + text + " with " + choice);
  }
  names.push_back(kind + "elsewhere" + std::to_string(elsewhere));
  std::vector<std::uint32_t> hashed;
  for (const std::string& name : names) {
    hashed.push_back(static_cast<std::uint32_t>(caprl::Fnv1a().add(std::string_view(name)).value() >> 7) & 0x3FFFFu);
  }
  return hashed;
}

/// Logistic regression over the options of a question.
class Guesser {
 public:
  std::vector<double> probabilities(const Item& item, std::size_t question) const {
    std::vector<double> p;
    double total = 0;
    for (std::size_t option = 0; option < item[question].question.options.size(); ++option) {
      double sum = 0;
      for (const std::uint32_t feature : features(item, question, option)) sum += weight_[feature];
      p.push_back(std::exp(sum));
      total += p.back();
    }
    for (double& value : p) value /= total;
    return p;
  }
  void learn(const Item& item, double rate) {
    for (std::size_t q = 0; q < item.size(); ++q) {
      const std::vector<double> p = probabilities(item, q);
      for (std::size_t option = 0; option < p.size(); ++option) {
        const double wanted = option == static_cast<std::size_t>(item[q].question.gold) ? 1 : 0;
        for (const std::uint32_t feature : features(item, q, option)) weight_[feature] += rate * (wanted - p[option]);
      }
    }
  }

 private:
  std::vector<double> weight_ = std::vector<double>(1u << 18, 0.0);
};

struct Guessing {
  double accuracy = 0, chance = 0;
  std::map<std::string, std::array<double, 3>> kinds;  // right, chance, asked
};

template <class Draw>
Guessing guess(const Draw& draw) {
  Guesser guesser;
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (std::uint32_t i = 0; i < train_items; ++i) guesser.learn(draw(Split::train, i), epoch == 0 ? 0.03 : 0.01);
  }
  Guessing result;
  double asked = 0;
  for (std::uint32_t i = 0; i < test_items; ++i) {
    const Item item = draw(Split::test, i);
    for (std::size_t q = 0; q < item.size(); ++q) {
      const std::vector<double> p = guesser.probabilities(item, q);
      const double right = std::max_element(p.begin(), p.end()) - p.begin() == item[q].question.gold ? 1 : 0;
      const double chance = 1.0 / static_cast<double>(p.size());
      auto& kind = result.kinds[std::string(world::question_kind_words[static_cast<std::size_t>(item[q].ask.kind)])];
      kind[0] += right;
      kind[1] += chance;
      kind[2] += 1;
      result.accuracy += right;
      result.chance += chance;
      asked += 1;
    }
  }
  result.accuracy /= asked;
  result.chance /= asked;
  return result;
}

void check_near_chance(const Guessing& result) {
  MESSAGE("questions alone: ", result.accuracy, ", chance: ", result.chance);
  CHECK(result.accuracy < result.chance + 0.015);
  for (const auto& [kind, sums] : result.kinds) {
    const double above = (sums[0] - sums[1]) / sums[2];
    const double error = 0.5 / std::sqrt(sums[2]);
    CAPTURE(kind);
    CAPTURE(above);
    CHECK(above < 0.02 + 3 * error);
  }
}

Item image_item(Split split, std::uint32_t i) { return world::draw_image_item(2, split, i).questions; }
Item clip_item(Split split, std::uint32_t i) { return world::draw_clip_item(2, split, i).questions; }

/// How often a caption answers rightly.
double accuracy(const std::string& caption, const Item& item) {
  const world::ParsedCaption parsed = world::parse_caption(caption);
  double right = 0;
  for (const WorldQuestion& q : item) {
    right += world::answer(parsed, q.ask, q.question.options) == static_cast<int>(q.question.gold);
  }
  return right / static_cast<double>(item.size());
}

template <class Draw>
void check_foreign_captions(const Draw& draw) {
  constexpr std::uint32_t count = 400;
  double swapped = 0, best_constant = 0, chance = 0;
  std::vector<decltype(draw(0u))> all;
  for (std::uint32_t i = 0; i < count; ++i) all.push_back(draw(i));
  for (std::uint32_t i = 0; i < count; ++i) {
    swapped += accuracy(world::truth_caption(all[(i + 1) % count].content), all[i].questions);
  }
  for (const auto& item : all) {
    double sum = 0;
    for (const WorldQuestion& q : item.questions) sum += 1.0 / static_cast<double>(q.question.options.size());
    chance += sum / static_cast<double>(item.questions.size()) / count;
  }
  for (std::uint32_t c = 0; c < 60; ++c) {
    double sum = 0;
    for (std::uint32_t i = 0; i < count; ++i) sum += accuracy(world::truth_caption(all[c].content), all[i].questions);
    best_constant = std::max(best_constant, sum / count);
  }
  MESSAGE("swapped: ", swapped / count, ", best constant: ", best_constant, ", chance: ", chance);
  CHECK(swapped / count < chance);
  CHECK(best_constant < chance);
}

}  // namespace

TEST_CASE("the questions of a picture do not give the answers away") { check_near_chance(guess(image_item)); }

TEST_CASE("the questions of a clip do not give the answers away") { check_near_chance(guess(clip_item)); }

TEST_CASE("the classifier finds leaks where there are some") {
  const Guessing planted = guess([](Split split, std::uint32_t i) {
    Item item = image_item(split, i);
    world::RandomStream random({.seed = 9, .item = i});
    for (WorldQuestion& q : item) {  // a quarter of the right options is moved to the first letter
      if (random.below(4) == 0) q.question.gold = 0;
    }
    return item;
  });
  CHECK(planted.accuracy > planted.chance + 0.05);
}

TEST_CASE("right options are uniform over the letters") {
  std::array<double, 4> letters{};
  double total = 0;
  for (std::uint32_t i = 0; i < train_items; ++i) {
    for (const WorldQuestion& q : image_item(Split::train, i)) {
      if (q.question.options.size() != 4) continue;
      letters[static_cast<std::size_t>(q.question.gold)] += 1;
      total += 1;
    }
  }
  for (const double n : letters) CHECK(std::abs(n / total - 0.25) < 0.02);
}

TEST_CASE("captions of other items, and constant ones, answer below chance") {
  check_foreign_captions([](std::uint32_t i) { return world::draw_image_item(2, Split::test, i); });
  check_foreign_captions([](std::uint32_t i) { return world::draw_clip_item(2, Split::test, i); });
}
