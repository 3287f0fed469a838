// expect: sampler(timeline, look)
// expect: FrameSampler<FirstAndLast>
#include "caprl/frames/frame_sampler.hpp"

struct FirstAndLast {
  std::vector<double> operator()(const caprl::VideoTimeline&, caprl::FrameLook&) const { return {0.0, 1.0}; }
};
static_assert(caprl::FrameSampler<FirstAndLast>);

int main() {}
