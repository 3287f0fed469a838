// expect: load(item) must give the item's media as the policy encodes them
#include "caprl/judge/length_term.hpp"
#include "caprl/media/read_image.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/sampling/sample.hpp"
#include "caprl/train/trainer.hpp"

void train(const caprl::TinyVlmPolicy<>& policy, std::span<const caprl::CaptionItem> items) {
  caprl::LengthTerm judge;
  caprl::Trainer trainer(policy, caprl::Sample<>(), judge, caprl::Rloo{}, {});
  trainer.run(
      items, [](const caprl::CaptionItem& item) { return caprl::read_image(item.media.front().path); },
      [](caprl::Index, caprl::MetricsRow&) { return 0.0; });
}

int main() {}
