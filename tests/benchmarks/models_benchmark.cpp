// Models of published shapes: SmolLM2-135M's, and a Qwen2.5-VL of 0.3 B parameters, both with random weights, in the
// folders that CAPRL_BENCHMARK_MODELS holds. peers/transformers_models.py opens the same folders.
//   models_benchmark --make LAYERS    writes them, with at most so many layers, and the numbers that the peer must get
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

#include "caprl/model/any_vlm.hpp"
#include "caprl/optim/adamw.hpp"
#include "caprl/policy/generate.hpp"
#include "caprl/policy/qwen_vl_policy.hpp"
#include "caprl/sampling/greedy.hpp"
#include "decoder_model.hpp"
#include "tiny_captioner.hpp"

namespace {

using namespace caprl;
using namespace benchmark_support;

constexpr Index text_prompt_tokens = 512;
constexpr Index drawn_tokens = 64;
constexpr Index trained_texts = 4, trained_text_tokens = 256;
constexpr Index picture_side = 448;
constexpr Index trained_pictures = 2, caption_tokens = 128;
constexpr double learning_rate = 1e-7;  // hardly moves the weights: every step is as the first

std::filesystem::path models() {
  const char* folder = std::getenv("CAPRL_BENCHMARK_MODELS");
  require(folder != nullptr, "[models_benchmark] expected CAPRL_BENCHMARK_MODELS to name a folder");
  return folder;
}

GenerateSettings drawing(Index captions, Index tokens) {
  return {.samples = captions, .maximum_tokens = tokens, .seed = 1, .step = 0, .item_keys = {}};
}

/// One pass forward and backward of the mean negative log-probability. Returns that.
template <class LogProbabilities>
double add_gradients(const LogProbabilities& log_probabilities_of) {
  Tape tape;
  const Var<float> log_probabilities = log_probabilities_of();
  double loss = 0;
  for (const float value : log_probabilities.value().span()) loss -= static_cast<double>(value);
  const auto count = log_probabilities.value().elements();
  log_probabilities.seed_gradient(
      Tensor<float>::full(log_probabilities.shape(), -1.0f / static_cast<float>(count)));
  tape.backward();
  return loss / static_cast<double>(count);
}

/// The text model: one prompt, and some texts to learn.
class Text {
 public:
  static std::filesystem::path folder() { return models() / "text"; }

  static DecoderSettings settings(Index layers) {
    return {.block = {.hidden_size = 576,
                      .intermediate_size = 1536,
                      .attention_heads = 9,
                      .key_value_heads = 3,
                      .head_size = 64,
                      .norm_epsilon = 1e-5},
            .layers = std::min<Index>(layers, 30),
            .vocabulary_size = 49152,
            .maximum_positions = 8192};
  }

  static void make(Index layers, const std::filesystem::path& tokenizer) {
    const Decoder<float> model(settings(layers));
    initialize(model, 1);
    save_language_model(model, tokenizer, folder());
  }

  /// `packed`: its weights laid out once, as for captioning alone.
  explicit Text(bool packed) {
    if (packed) packed_.emplace(model(), WeightFormat::float32);
  }

  const Decoder<float>& model() const { return loaded_.model; }
  std::vector<NamedBlock<float>> blocks() const { return named_blocks<float>(model()); }

  RolloutGroup generate(Index captions, Index tokens) const {
    const NoGradient silent;
    const std::vector<std::vector<TokenKey>> prompts = {sequence_of(0, text_prompt_tokens)};
    const SharedBatch batch = lay_out(prompts, true);
    const auto rows = embed(model().embedding, Var<float>(), tokens_of(batch, prompts));
    return caprl::generate(model(), rows, batch, Greedy(), drawing(captions, tokens), {}, packed_ ? &*packed_ : nullptr)
        .front();
  }

  double add_gradients() const {
    std::vector<std::vector<TokenKey>> texts;
    std::vector<HeadPair> pairs;
    for (Index text = 0; text < trained_texts; ++text) {
      texts.push_back(sequence_of(text, trained_text_tokens));
      for (Index t = 0; t + 1 < trained_text_tokens; ++t) {
        pairs.push_back({text * trained_text_tokens + t, token_at(text, t + 1)});
      }
    }
    const SharedBatch batch = lay_out(texts, false);
    return ::add_gradients([&] {
      const auto rows = embed(model().embedding, Var<float>(), tokens_of(batch, texts));
      return model().log_probabilities(rows, batch.tree, pairs, 1.0);
    });
  }

  Json description() const { return Json::object(); }

 private:
  ModelFolder<Decoder<float>> loaded_ = load_language_model(folder());
  std::optional<PackedProducts> packed_;
};

/// The captioner: pictures of noise, the first of which is captioned, and captions of others to learn.
class Vlm {
 public:
  static std::filesystem::path folder() { return models() / "vlm"; }

  static Qwen25VlSettings settings(Index layers, const Tokenizer& tokenizer) {
    Qwen25VlSettings settings = examples::qwen25_vl_settings({.architecture = "qwen2_5_vl"}, tokenizer);
    settings.language = {.block = {.hidden_size = 896,
                                   .intermediate_size = 4864,
                                   .attention_heads = 14,
                                   .key_value_heads = 2,
                                   .head_size = 64,
                                   .norm_epsilon = 1e-6,
                                   .query_key_value_bias = true},
                         .layers = std::min<Index>(layers, 16),
                         .vocabulary_size = 32000,
                         .maximum_positions = 8192,
                         .rotary = {.theta = 1e6, .sections = {8, 12, 12}}};
    settings.vision = {.block = {.hidden_size = 512,
                                 .intermediate_size = 1376,
                                 .attention_heads = 8,
                                 .key_value_heads = 8,
                                 .head_size = 64,
                                 .norm_epsilon = 1e-6,
                                 .query_key_value_bias = true,
                                 .output_bias = true,
                                 .mlp_bias = true},
                       .layers = std::min<Index>(layers, 8),
                       .output_size = 896};
    settings.vision.full_attention = {settings.vision.layers / 2 - 1, settings.vision.layers - 1};
    settings.preprocessing = default_preprocessing(settings.vision, VideoProcessor::qwen2_vl);
    return settings;
  }

  static void make(Index layers, const std::filesystem::path& tokenizer) {
    const Qwen25Vl<float> model(settings(layers, Tokenizer::from_file(tokenizer)));
    initialize(AnyVlm<float>(model), 2);
    save_qwen25_vl(model, tokenizer, folder());
  }

  explicit Vlm(bool packed)
      : policy_(loaded_.model, loaded_.tokenizer,
                {.packed = packed ? std::optional(WeightFormat::float32) : std::nullopt}) {
    for (std::uint32_t picture = 0; picture < trained_pictures; ++picture) {
      CaptionItem item;
      item.prompt = "describe the image in detail .";
      item.media = {{MediaKind::image, "noise"}};
      prompts_.push_back(policy_.encode(item, noise_picture(picture, picture_side)));
      Rollout caption;
      // Beyond the tokenizer's ids, where none stands for a picture.
      for (Index t = 0; t < caption_tokens; ++t) caption.tokens.push_back(1000 + token_at(picture, t));
      captions_.push_back({caption});
    }
  }

  std::vector<NamedBlock<float>> blocks() const { return policy_.blocks(); }

  RolloutGroup generate(Index captions, Index tokens) const {
    return policy_.generate(std::span(prompts_).first(1), Greedy(), drawing(captions, tokens)).front();
  }

  double add_gradients() const {
    return ::add_gradients([&] { return policy_.log_probabilities(prompts_, captions_, 1.0); });
  }

  /// Prompts and captions as the peer reads them; the pixels go to a file.
  Json description() const {
    std::ofstream pixels(models() / "vlm_pixels.f32", std::ios::binary);
    Json json = {{"image_token", policy_.model().settings.tokens.image}, {"prompts", Json::array()}};
    for (std::size_t p = 0; p < prompts_.size(); ++p) {
      const Picture& picture = prompts_[p].pictures.front();
      const auto bytes = std::as_bytes(picture.pixels.span());
      pixels.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      Json tokens = Json::array();
      for (const TokenKey& token : prompts_[p].tokens) tokens.push_back(token.id);
      json["prompts"].push_back({{"tokens", std::move(tokens)},
                                 {"grid", {picture.grid.times, picture.grid.height, picture.grid.width}},
                                 {"caption", captions_[p].front().tokens}});
    }
    return json;
  }

 private:
  ModelFolder<Qwen25Vl<float>> loaded_ = load_qwen25_vl(folder());
  Qwen25VlPolicy<> policy_;
  std::vector<VlmPrompt> prompts_;
  std::vector<RolloutGroup> captions_;
};

/// A prompt is read, and its first token drawn.
template <class Model>
void prompt(benchmark::State& state) {
  const Model model(/*packed=*/false);
  const auto read = [&] { benchmark::DoNotOptimize(model.generate(1, 1).data()); };
  read();
  for (auto _ : state) read();
}

/// A prompt is read once and captions go on from it, the likeliest token each time.
template <class Model>
void generate(benchmark::State& state) {
  const Model model(state.range(1) != 0);
  const auto draw = [&] {
    const RolloutGroup captions = model.generate(state.range(0), drawn_tokens);
    for (const Rollout& rollout : captions) {
      require(static_cast<Index>(rollout.tokens.size()) == drawn_tokens,
              "[models_benchmark] expected captions that do not end early");
    }
  };
  draw();
  for (auto _ : state) draw();
}

/// A step of training: forward, backward, AdamW.
template <class Model>
void train(benchmark::State& state) {
  const Model model(/*packed=*/false);
  AdamWOptimizer<float> optimizer(parameters_of(model.blocks()), {});
  const auto step = [&] {
    benchmark::DoNotOptimize(model.add_gradients());
    optimizer.step(learning_rate);
  };
  step();
  for (auto _ : state) step();
}

void each_way(benchmark::internal::Benchmark* one) {
  one->ArgNames({"captions", "packed"})->Args({1, 0})->Args({8, 0})->Args({8, 1});
}

BENCHMARK(prompt<Text>)->Name("text_prompt")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(generate<Text>)->Name("text_generate")->UseRealTime()->Unit(benchmark::kMillisecond)->Apply(each_way);
BENCHMARK(train<Text>)->Name("text_train")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(prompt<Vlm>)->Name("vlm_prompt")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(generate<Vlm>)->Name("vlm_generate")->UseRealTime()->Unit(benchmark::kMillisecond)->Apply(each_way);
BENCHMARK(train<Vlm>)->Name("vlm_train")->UseRealTime()->Unit(benchmark::kMillisecond);

/// Writes the folder of a model, and returns what the peer must get from it.
template <class Model>
Json make(Index layers, const std::filesystem::path& tokenizer) {
  Model::make(layers, tokenizer);
  const Model model(/*packed=*/false);
  Json json = model.description();
  const Rollout drawn = model.generate(1, drawn_tokens).front();
  json["drawn"] = drawn.tokens;
  json["log_probabilities"] = drawn.log_probabilities;
  json["loss"] = model.add_gradients();
  json["parameters"] = numbers_in(model.blocks());
  return json;
}

void make_both(Index layers) {
  std::filesystem::create_directories(models());
  const std::filesystem::path tokenizer = models() / "models_tokenizer.json";
  write_file_atomically(tokenizer, make_tokenizer_json());
  const Json json = {{"text", make<Text>(layers, tokenizer)}, {"vlm", make<Vlm>(layers, tokenizer)}};
  write_file_atomically(models() / "models.json", json.dump() + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::string(argv[1]) == "--make") {
      make_both(std::stol(argv[2]));
      return 0;
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
