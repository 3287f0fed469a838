// expect: filter.active()
// expect: LogitFilter
#include "caprl/sampling/sample.hpp"

struct BanToken {
  caprl::Token token;
  void operator()(std::span<float> logits, std::span<const caprl::Token>) const {
    logits[static_cast<std::size_t>(token)] = caprl::excluded_logit;
  }
};

int main() { caprl::Sample sampler{caprl::Temperature{1.0}, BanToken{3}}; }
