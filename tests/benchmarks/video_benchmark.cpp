// Eight frames, spread evenly, of the video file named by CAPRL_BENCHMARK_VIDEO, as RGB in its own size; opening the
// file is part of the time.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "caprl/frames/key_frames.hpp"
#include "caprl/frames/read_clip.hpp"
#include "caprl/frames/uniform.hpp"

namespace {

using namespace caprl;

std::string video() {
  const char* path = std::getenv("CAPRL_BENCHMARK_VIDEO");
  require(path != nullptr, "[video_benchmark] expected CAPRL_BENCHMARK_VIDEO to name a file");
  return path;
}

/// Also says what was read: the frames' sum of bytes, which a peer's must be close to.
template <class Sampler>
void read(benchmark::State& state, const Sampler& sampler) {
  const std::string path = video();
  double sum = 0;
  std::size_t frames = 0;
  for (auto _ : state) {
    const Clip clip = read_clip(path, sampler);
    frames = clip.frames.size();
    state.PauseTiming();
    sum = 0;
    for (const Frame& frame : clip.frames) {
      for (const std::uint8_t value : frame.image.rgb) sum += value;
    }
    state.ResumeTiming();
  }
  state.counters["frames"] = static_cast<double>(frames);
  state.counters["sum"] = sum;
}

void exact(benchmark::State& state) { read(state, Uniform{.frames = 8}); }
void key_frames(benchmark::State& state) { read(state, KeyFrames{.maximum = 8}); }
void full_decode(benchmark::State& state) {
  const std::string path = video();
  for (auto _ : state) {
    VideoReader reader(path);
    std::vector<Index> all;
    for (Index frame = 0; frame < reader.timeline().frames(); ++frame) all.push_back(frame);
    reader.for_each_frame(all, [](Index, double, const Image& image) { benchmark::DoNotOptimize(image.rgb.data()); });
  }
}

BENCHMARK(exact)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(key_frames)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(full_decode)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
