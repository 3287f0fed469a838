// expect: validate(step, metrics) must return a score as a double
#include "caprl/data/load_images.hpp"
#include "caprl/judge/length_term.hpp"
#include "caprl/policy/vlm_policy.hpp"
#include "caprl/sampling/sample.hpp"
#include "caprl/train/trainer.hpp"

void train(const caprl::TinyVlmPolicy<>& policy, std::span<const caprl::CaptionItem> items) {
  caprl::LengthTerm judge;
  caprl::Trainer trainer(policy, caprl::Sample<>(), judge, caprl::Rloo{}, {});
  trainer.run(items, caprl::LoadImages{},
              [](caprl::Index step, caprl::MetricsRow& metrics) { metrics.add("validated", step); });
}

int main() {}
