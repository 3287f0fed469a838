// expect: sampler.temperature()
// expect: Sampler<FirstToken>
#include "caprl/sampling/sampler.hpp"

struct FirstToken {
  caprl::Token operator()(std::span<float>, std::span<const caprl::Token>, const caprl::RandomKey&) const { return 0; }
  bool filters() const { return true; }
};
static_assert(caprl::Sampler<FirstToken>);

int main() {}
