// expect: policy.log_probabilities(prompts, groups, temperature)
// expect: Policy<Parrot>
#include "caprl/policy/policy.hpp"

struct Parrot {
  using Prompt = std::string_view;
  using value_type = float;
  using device_type = caprl::Cpu;
  Prompt encode(const caprl::CaptionItem& item, std::span<const caprl::Clip>) const { return item.prompt; }
  template <caprl::Sampler S>
  std::vector<caprl::RolloutGroup> generate(std::span<const Prompt> prompts, const S&,
                                            const caprl::GenerateSettings&) const {
    return std::vector<caprl::RolloutGroup>(prompts.size());
  }
  std::vector<float> log_probabilities(std::span<const Prompt>, std::span<const caprl::RolloutGroup>, double) const {
    return {};
  }
  std::vector<caprl::NamedBlock<float, caprl::Cpu>> blocks() const { return {}; }
};
static_assert(caprl::Policy<Parrot>);

int main() {}
