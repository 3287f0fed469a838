#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "caprl/model/log_probabilities_by_parts.hpp"
#include "caprl/model/lora.hpp"
#include "caprl/model/packed_products.hpp"
#include "caprl/model/qwen25_vl.hpp"
#include "caprl/model/qwen3_vl.hpp"
#include "caprl/policy/generate.hpp"
#include "caprl/policy/vlm_batch.hpp"
#include "caprl/sampling/greedy.hpp"
#include "support/error_message.hpp"
#include "support/matrices.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;

namespace {

/// A family of models: small folders of transformers with random weights, and how they are read and written. See
/// tests/reference/model_qwen25_vl.py and model_qwen3_vl.py.
struct Qwen25 {
  static std::filesystem::path data() { return std::filesystem::path(CAPRL_TEST_DATA) / "qwen25_vl"; }
  static std::vector<std::string> folders() { return {"published", "nested", "newest"}; }
  static auto load_model(const std::filesystem::path& folder) { return load_qwen25_vl_model<float>(folder); }
  static auto load_with_preprocessing(const std::filesystem::path& folder) {
    return load_qwen25_vl_model<float>(folder, read_qwen25_vl_folder(folder));
  }
  static void save(const Qwen25Vl<float>& model, const std::filesystem::path& tokenizer,
                   const std::filesystem::path& folder) {
    save_qwen25_vl(model, tokenizer, folder);
  }
  static Json config(const Qwen25VlSettings& settings) { return qwen25_vl_config(settings); }
  static constexpr const char* processor = "Qwen2VLImageProcessor";
  static constexpr const char* kernel = "visual.patch_embed.proj.weight";
  static constexpr const char* kept = "CAPRL_SAVED_QWEN25_VL";
};

struct Qwen3 {
  static std::filesystem::path data() { return std::filesystem::path(CAPRL_TEST_DATA) / "qwen3_vl"; }
  static std::vector<std::string> folders() { return {"deep", "tied"}; }
  static auto load_model(const std::filesystem::path& folder) { return load_qwen3_vl_model<float>(folder); }
  static auto load_with_preprocessing(const std::filesystem::path& folder) {
    return load_qwen3_vl_model<float>(folder, read_qwen3_vl_folder(folder));
  }
  static void save(const Qwen3Vl<float>& model, const std::filesystem::path& tokenizer,
                   const std::filesystem::path& folder) {
    save_qwen3_vl(model, tokenizer, folder);
  }
  static Json config(const Qwen3VlSettings& settings) { return qwen3_vl_config(settings); }
  static constexpr const char* processor = "Qwen2VLImageProcessor";
  static constexpr const char* kernel = "model.visual.patch_embed.proj.weight";
  static constexpr const char* kept = "CAPRL_SAVED_QWEN3_VL";
};

VisionGrid grid_of(const Json& json) {
  const auto sides = json.get<std::vector<Index>>();
  return {sides.at(0), sides.at(1), sides.at(2)};
}

Picture picture_of(const Json& media, Tensor<float> pixels) {
  const std::span<const float> values = pixels.span();
  const auto bytes = std::as_bytes(values);
  const auto hash = Fnv1a().add({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}).value();
  return {hash, std::move(pixels), grid_of(media.at("grid")), media.at("seconds").get<double>()};
}

/// A folder with what transformers makes of it.
template <class Family>
struct Case {
  Json reference;
  SafetensorsFile expected;
  decltype(Family::load_model({})) model;
  std::vector<VlmPrompt> prompts;
  std::vector<RolloutGroup> groups;  ///< for each prompt its captions

  explicit Case(const std::string& name)
      : reference(load_json(Family::data() / "cases.json").at(name)),
        expected(Family::data() / name / "expected.safetensors"),
        model(Family::load_model(Family::data() / name)) {
    for (std::size_t p = 0; p < reference.size(); ++p) {
      prompts.push_back(prompt(p));
      groups.emplace_back();
      for (const Json& caption : reference[p].at("captions")) {
        groups.back().push_back({.tokens = caption.get<std::vector<Token>>(), .log_probabilities = {}, .caption = {}});
      }
    }
  }

  VlmPrompt prompt(std::size_t p) const {
    const auto tokens = reference[p].at("tokens").get<std::vector<Token>>();
    const Json& media = reference[p].at("media");
    VlmPrompt prompt;
    std::size_t token = 0;
    for (std::size_t m = 0; m < media.size(); ++m) {
      const auto begin = media[m].at("begin").get<std::size_t>();
      prompt.append_text(std::span(tokens).subspan(token, begin - token));
      Picture picture =
          picture_of(media[m], expected.read<float>("pixels." + std::to_string(p) + "." + std::to_string(m)));
      const Index count = model.picture_tokens(picture);
      prompt.append_picture(std::move(picture), tokens[begin], count);
      token = begin + static_cast<std::size_t>(count);
    }
    prompt.append_text(std::span(tokens).subspan(token));
    return prompt;
  }
};

template <class Model>
Var<float> log_probabilities(const Model& model, std::span<const VlmPrompt> prompts,
                             std::span<const RolloutGroup> groups, Index row_budget = 0) {
  const VlmBatch batch = make_vlm_batch(prompts, groups, model);
  const auto input = embed_batch<float, Cpu>(model, batch);
  if (row_budget > 0) {
    return log_probabilities_by_parts(model.language, input.rows, batch.shared.tree, batch.pairs, 1.0, row_budget,
                                      batch.positions.rows, input.of_layers);
  }
  return model.language.log_probabilities(input.rows, batch.shared.tree, batch.pairs, 1.0, batch.positions.rows,
                                          input.of_layers);
}

/// The same in order, each caption a batch of its own.
template <class Model>
std::vector<double> log_probabilities_apart(const Model& model, std::span<const VlmPrompt> prompts,
                                            std::span<const RolloutGroup> groups) {
  std::vector<double> all;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    for (const Rollout& rollout : groups[p]) {
      const std::vector<RolloutGroup> one{{rollout}};
      const auto values = test::numbers(log_probabilities(model, prompts.subspan(p, 1), one).value());
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  return all;
}

template <class VisionSettings>
void write_preprocessor(const std::filesystem::path& folder, Index patch_size, const VisionSettings& vision) {
  std::ofstream(folder / "preprocessor_config.json") << Json{{"image_processor_type", "Qwen2VLImageProcessor"},
                                                             {"patch_size", patch_size},
                                                             {"merge_size", vision.spatial_merge_size},
                                                             {"temporal_patch_size", vision.temporal_patch_size}};
}

/// Greedy captions of all prompts together, which do not end.
template <class Family>
std::vector<RolloutGroup> captions(const Case<Family>& of, Index samples, Index tokens,
                                   const PackedProducts* packed = nullptr) {
  const NoGradient silent;
  const VlmBatch batch = make_vlm_batch(of.prompts, {}, of.model);
  const auto input = embed_batch<float, Cpu>(of.model, batch);
  return generate(of.model.language, input.rows, batch.shared, Greedy{},
                  {.samples = samples, .maximum_tokens = tokens, .item_keys = {}}, {}, packed, batch.positions,
                  input.of_layers);
}

std::vector<std::vector<Token>> first_tokens(const std::vector<RolloutGroup>& groups) {
  std::vector<std::vector<Token>> tokens;
  for (const RolloutGroup& group : groups) tokens.push_back(group.at(0).tokens);
  return tokens;
}

}  // namespace

TEST_CASE_TEMPLATE("the positions of prompts and of what goes on from them are transformers'", Family, Qwen25, Qwen3) {
  for (const std::string& name : Family::folders()) {
    const Case<Family> of(name);
    const Json expected = load_json(Family::data() / "positions.json").at(name);
    for (std::size_t p = 0; p < of.prompts.size(); ++p) {
      CAPTURE(name + " " + std::to_string(p));
      const auto length = of.prompts[p].tokens.size();
      const auto by_axis = expected[p].get<std::vector<std::vector<Index>>>();
      const VlmBatch batch = make_vlm_batch(std::span(of.prompts).subspan(p, 1), {}, of.model);
      REQUIRE(batch.positions.rows.rows() == static_cast<Index>(length));
      for (Index axis = 0; axis < 3; ++axis) {
        const std::vector<Index>& along = by_axis[static_cast<std::size_t>(axis)];
        for (std::size_t t = 0; t < length; ++t) {
          CHECK(batch.positions.rows(axis, static_cast<Index>(t)) == along[t]);
        }
        CHECK(batch.positions.next.at(0) == along[length]);
      }
    }
  }
}

TEST_CASE("media that lie outside of their sequence, or in each other, have no positions") {
  const auto fails = [](Index tokens, const std::vector<MediaTokens>& media) {
    return testing::fails_with([&] { multimodal_positions(tokens, media); }, "expected media one after the other");
  };
  const VisionGrid two{1, 1, 2};
  CHECK(fails(3, {{2, two}}));
  CHECK(fails(5, {{1, two}, {2, two}}));
  CHECK_NOTHROW(multimodal_positions(4, std::vector<MediaTokens>{{0, two}, {2, two}}));
  CHECK(testing::fails_with(
      [&] {
        multimodal_positions(3, std::vector<MediaTokens>{{0, two, NAN}});
      },
      "expected a time interval"));
}

TEST_CASE_TEMPLATE("folders of transformers give its logits, prompts and captions of all kinds in one batch", Family,
                   Qwen25, Qwen3) {
  for (const std::string& name : Family::folders()) {
    const Case<Family> of(name);
    const NoGradient silent;
    const VlmBatch batch = make_vlm_batch(of.prompts, of.groups, of.model);
    const auto input = embed_batch<float, Cpu>(of.model, batch);
    const auto hidden = of.model.language(input.rows, batch.shared.tree, {}, batch.positions.rows, input.of_layers);
    const Tensor<float> logits = linear(hidden, of.model.language.head).value();
    Index sequence = 0;
    for (std::size_t p = 0; p < of.groups.size(); ++p) {
      for (std::size_t c = 0; c < of.groups[p].size(); ++c, ++sequence) {
        CAPTURE(name + " " + std::to_string(p) + " " + std::to_string(c));
        std::vector<double> rows;  // of a second caption only what the first has not
        const auto length = static_cast<Index>(of.prompts[p].tokens.size());
        for (Index t = c == 0 ? 0 : length; t < batch.shared.lengths[static_cast<std::size_t>(sequence)]; ++t) {
          const Index row = batch.shared.row(sequence, t);
          const auto values = test::numbers(logits.slice(row, row + 1));
          rows.insert(rows.end(), values.begin(), values.end());
        }
        const auto expected = of.expected.template read<float>("logits." + std::to_string(p) + "." + std::to_string(c));
        CHECK(test::distance(rows, expected) < 1e-4);
      }
    }
  }
}

TEST_CASE_TEMPLATE("the gradients of caption log-probabilities are PyTorch's for every tensor", Family, Qwen25, Qwen3) {
  for (const std::string& name : Family::folders()) {
    const Case<Family> of(name);
    std::vector<float> weights;
    for (const Json& prompt : of.reference) {
      for (const auto& caption : prompt.at("weights").get<std::vector<std::vector<float>>>()) {
        weights.insert(weights.end(), caption.begin(), caption.end());
      }
    }
    for (const Index budget : {Index{0}, Index{25}}) {
      for (const auto& parameter : parameters_of<float>(of.model)) parameter.zero_gradient();
      {
        Tape tape;
        const Var<float> values = log_probabilities(of.model, of.prompts, of.groups, budget);
        values.seed_gradient(Tensor<float>::from(weights, values.shape()));
        tape.backward();
      }
      for (const auto& block : named_blocks<float>(of.model)) {
        CAPTURE(name + " " + block.name + " " + std::to_string(budget));
        CHECK(test::distance(block.of(block.parameter.gradient()),
                             of.expected.template read<float>("gradient." + block.name)) < 1e-4);
      }
    }
  }
}

TEST_CASE_TEMPLATE("captions of pictures and videos are continued as transformers continues them", Family, Qwen25,
                   Qwen3) {
  for (const std::string& name : Family::folders()) {
    CAPTURE(name);
    const Case<Family> of(name);
    std::vector<std::vector<Token>> expected;
    for (const Json& prompt : of.reference) expected.push_back(prompt.at("continuation").get<std::vector<Token>>());
    CHECK(first_tokens(captions(of, 1, 64)) == expected);
    const PackedProducts packed(of.model.language, WeightFormat::float32);
    CHECK(first_tokens(captions(of, 1, 64, &packed)) == expected);
  }
}

TEST_CASE_TEMPLATE("prompts that share pictures share rows, others do not, and numbers are those of separate sequences",
                   Family, Qwen25, Qwen3) {
  for (const std::string& name : Family::folders()) {
    CAPTURE(name);
    const Case<Family> of(name);
    const NoGradient silent;
    // The same prompt twice, once with another picture of the same size, once with other times.
    const VlmPrompt& first = of.prompts[name == "nested" || name == "tied" ? 1 : 0];
    const auto with = [&](const auto& change) {
      VlmPrompt prompt;
      for (std::size_t t = 0; t < first.tokens.size(); ++t) {
        const auto media = first.media_row[t];
        if (media == prompt.picture_rows && prompt.pictures.empty()) {
          Picture picture = first.pictures[0];
          picture.pixels = picture.pixels.clone();
          change(picture);
          const Index count = of.model.picture_tokens(picture);
          prompt.append_picture(std::move(picture), first.tokens[t].id, count);
        } else if (t >= prompt.tokens.size() && media < 0) {
          prompt.append_text(std::vector<Token>{first.tokens[t].id});
        }
      }
      return prompt;
    };
    const std::vector<VlmPrompt> prompts{with([](Picture&) {}), with([](Picture&) {}), with([](Picture& picture) {
                                           picture.pixels.data()[0] += 1;
                                           picture.hash += 1;
                                         }),
                                         with([](Picture& picture) { picture.seconds_per_time += 3; })};
    const std::vector<RolloutGroup> groups(prompts.size(), of.groups[0]);
    const VlmBatch batch = make_vlm_batch(prompts, groups, of.model);
    CHECK(batch.pictures.size() == 2);  // times are no matter of the tower
    const auto captions = static_cast<Index>(of.groups[0].size());
    const auto begin = static_cast<Index>(std::ranges::find(prompts[0].media_row, 0) - prompts[0].media_row.begin());
    CHECK(batch.shared.row(0, begin) == batch.shared.row(captions, begin));
    CHECK(batch.shared.row(0, begin) != batch.shared.row(2 * captions, begin));
    CHECK(batch.shared.row(0, begin) != batch.shared.row(3 * captions, begin));
    if (begin > 0) CHECK(batch.shared.row(0, begin - 1) == batch.shared.row(3 * captions, begin - 1));

    const auto together = test::numbers(log_probabilities(of.model, prompts, groups).value());
    CHECK(test::distance(together, log_probabilities_apart(of.model, prompts, groups)) < 1e-5);
    const auto input = embed_batch<float, Cpu>(of.model, batch);
    for (const Index budget : {Index{1}, Index{25}}) {
      const auto parts = log_probabilities_by_parts(of.model.language, input.rows, batch.shared.tree, batch.pairs, 1.0,
                                                    budget, batch.positions.rows, input.of_layers);
      CHECK(test::distance(parts.value(), together) < 1e-5);
    }
  }
}

TEST_CASE_TEMPLATE("what is recorded of captions that are drawn is what is computed of them again", Family, Qwen25,
                   Qwen3) {
  for (const std::string& name : Family::folders()) {
    CAPTURE(name);
    const Case<Family> of(name);
    const NoGradient silent;
    const auto groups = captions(of, 2, 20);
    std::vector<double> recorded;
    for (const RolloutGroup& group : groups) {
      for (const Rollout& rollout : group) {
        recorded.insert(recorded.end(), rollout.log_probabilities.begin(), rollout.log_probabilities.end());
      }
    }
    CHECK(test::distance(log_probabilities(of.model, of.prompts, groups).value(), recorded) < 1e-5);
  }
}

TEST_CASE_TEMPLATE("adapters on every linear layer of tower and decoder are computed with, and merge", Family, Qwen25,
                   Qwen3) {
  const Case<Family> of(Family::folders()[0]);
  add_lora<float>(of.model, {.rank = 2}, 1);
  std::vector<std::string> names;
  for (const auto& block : lora_blocks<float>(of.model)) {
    names.push_back(block.name);
    const Tensor<float> noise = test::random_tensor<float>(block.parameter.shape(), names.size(), 0.1);
    std::copy_n(noise.data(), noise.elements(), block.parameter.value().data());
  }
  const auto has = [&](const std::string& end) {
    return std::ranges::any_of(names, [&](const std::string& name) { return name.ends_with(end + ".lora_A.weight"); });
  };
  for (const char* layer : {"blocks.0.attn.qkv", "blocks.0.attn.proj", "layers.0.self_attn.q_proj"}) CHECK(has(layer));
  CHECK(has(std::is_same_v<Family, Qwen3> ? "model.visual.merger.linear_fc1" : "visual.merger.mlp.0"));
  CHECK(has(std::is_same_v<Family, Qwen3> ? "model.language_model.layers.1.mlp.down_proj" : "layers.1.mlp.down_proj"));
  std::vector<double> apart;
  {
    Tape tape;
    const Var<float> values = log_probabilities(of.model, of.prompts, of.groups);
    apart = test::numbers(values.value());
    values.seed_gradient(Tensor<float>::full(values.shape(), 1.0f));
    tape.backward();
  }
  for (const auto& block : lora_blocks<float>(of.model)) {
    CAPTURE(block.name);
    CHECK(std::ranges::any_of(block.parameter.gradient().span(), [](float value) { return value != 0; }));
  }
  merge_lora<float>(of.model);
  const NoGradient silent;
  CHECK(test::distance(log_probabilities(of.model, of.prompts, of.groups).value(), apart) < 1e-5);
}

TEST_CASE_TEMPLATE("a folder that is written is read again to the bit, whatever layout it was read from", Family,
                   Qwen25, Qwen3) {
  // Kept for `model_qwen25_vl.py check`, or `model_qwen3_vl.py`, if the variable says where.
  const char* kept = std::getenv(Family::kept);
  const testing::TemporaryFolder temporary;
  const std::filesystem::path root = kept != nullptr ? std::filesystem::path(kept) : temporary.path();
  const auto source = temporary.path() / "source";
  std::filesystem::create_directory(source);
  std::filesystem::copy(std::filesystem::path(CAPRL_TEST_DATA) / "../../examples/weights/judge1/tokenizer.json",
                        source);
  for (const std::string& name : Family::folders()) {
    CAPTURE(name);
    const auto model = Family::load_model(Family::data() / name);
    write_preprocessor(source, model.settings.vision.patch_size, model.settings.vision);
    Family::save(model, source / "tokenizer.json", root / name);
    const auto again = Family::load_with_preprocessing(root / name);
    CHECK(again.settings.preprocessing.videos.patches.patch_pixels == model.settings.vision.patch_size);
    const auto before = named_blocks<float>(model), after = named_blocks<float>(again);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      CHECK(test::distance(after[i].of(after[i].parameter.value()), before[i].of(before[i].parameter.value())) == 0);
    }
    CHECK(Family::config(again.settings) == Family::config(model.settings));
    const SafetensorsFile file(root / name / "model.safetensors");
    const auto& vision = model.settings.vision;
    CHECK(file.info(Family::kernel).shape ==
          Shape{vision.block.hidden_size, 3, vision.temporal_patch_size, vision.patch_size, vision.patch_size});
  }
}

TEST_CASE_TEMPLATE("pictures that would be cut into other patches than the tower reads are refused with the folder",
                   Family, Qwen25, Qwen3) {
  const testing::TemporaryFolder temporary;
  const auto vision = Family::load_model(Family::data() / Family::folders()[0]).settings.vision;
  const auto read = [&] { load_fitting_preprocessing(temporary.path(), vision, VideoProcessor::qwen2_vl); };
  CHECK(testing::fails_with(read, "preprocessor_config.json"));
  write_preprocessor(temporary.path(), 3, vision);
  CHECK(testing::fails_with(read, "expected the vision tower's patch_size", "2, 2 and 2; got 3, 2 and 2",
                            temporary.path().string()));
  write_preprocessor(temporary.path(), 2, vision);
  CHECK_NOTHROW(read());
}

TEST_CASE("configurations that are not Qwen2.5-VL's are refused by field") {
  const testing::TemporaryFolder temporary;
  const auto file = temporary.path() / "config.json";
  const auto refuses = [&](const char* folder, const char* pointer, const Json& value, const char* field,
                           const char* message) {
    Json changed = load_json(Qwen25::data() / folder / "config.json");
    changed[Json::json_pointer(pointer)] = value;
    std::ofstream(file) << changed;
    return testing::fails_with([&] { read_qwen25_vl_settings(file); }, field, "config.json", message);
  };
  CHECK(refuses("newest", "/model_type", "qwen2_vl", "model_type", "expected \"qwen2_5_vl\""));
  CHECK(refuses("newest", "/image_token_id", 40, "image_token_id", "expected a token of the vocabulary of 40"));
  CHECK(refuses("newest", "/text_config/use_sliding_window", true, "use_sliding_window", "expected false"));
  CHECK(refuses("newest", "/text_config/rope_parameters/mrope_section", {1, 2, 4}, "mrope_section", "8 pairs"));
  CHECK(refuses("newest", "/text_config/rope_parameters/mrope_section", {9, -2, 1}, "mrope_section", "8 pairs"));
  CHECK(refuses("newest", "/text_config/rope_parameters/mrope_section", {4, 4}, "rope_parameters", "three numbers"));
  CHECK(refuses("published", "/rope_scaling", nullptr, "rope_scaling", "three numbers"));
  CHECK(refuses("newest", "/vision_config/out_hidden_size", 8, "out_hidden_size", "the language model's 16"));
  CHECK(refuses("newest", "/vision_config/hidden_act", "gelu", "hidden_act", "expected \"silu\""));
  CHECK(refuses("newest", "/vision_config/in_channels", 4, "in_channels", "expected 3"));
  CHECK(refuses("newest", "/vision_config/num_heads", 2, "num_heads", "a multiple of 4 features"));
  CHECK(refuses("newest", "/vision_config/window_size", 5, "window_size", "the pixels of one token (6)"));
  CHECK(refuses("newest", "/vision_config/fullatt_block_indexes", {2}, "fullatt_block_indexes", "got 2"));
  CHECK(refuses("newest", "/vision_config/rope_parameters/rope_type", "default", "rope_type", "expected \"axial\""));
  CHECK(refuses("newest", "/vision_config/tokens_per_second", 0, "tokens_per_second", "expected 1 to"));
}

TEST_CASE("configurations that are not Qwen3-VL's are refused by field") {
  const testing::TemporaryFolder temporary;
  const auto file = temporary.path() / "config.json";
  const auto refuses = [&](const char* pointer, const Json& value, const char* field, const char* message) {
    Json changed = load_json(Qwen3::data() / "deep" / "config.json");
    changed[Json::json_pointer(pointer)] = value;
    std::ofstream(file) << changed;
    return testing::fails_with([&] { read_qwen3_vl_settings(file); }, field, "config.json", message);
  };
  CHECK(refuses("/model_type", "qwen3_vl_moe", "model_type", "expected \"qwen3_vl\""));
  CHECK(refuses("/text_config", nullptr, "text_config", "expected an object"));
  CHECK(refuses("/text_config/rope_parameters/mrope_section", nullptr, "rope_parameters", "three numbers"));
  CHECK(refuses("/vision_config/hidden_act", "silu", "hidden_act", "expected \"gelu_pytorch_tanh\""));
  CHECK(refuses("/vision_config/num_position_embeddings", 15, "num_position_embeddings", "a square number"));
  CHECK(refuses("/vision_config/deepstack_visual_indexes", {2, 0}, "deepstack_visual_indexes", "ascending order"));
  CHECK(refuses("/vision_config/deepstack_visual_indexes", {3}, "deepstack_visual_indexes", "got 3"));
  CHECK(refuses("/vision_config/deepstack_visual_indexes", {0, 1, 2}, "deepstack_visual_indexes", "fewer than"));
}

TEST_CASE_TEMPLATE("patches that do not fit their grid are an error, and so are grids that do not make whole tokens",
                   Family, Qwen25, Qwen3) {
  const Case<Family> of(Family::folders()[0]);
  const NoGradient silent;
  const auto encode = [&](Index rows, const VisionGrid& grid) {
    const std::array grids{grid};
    of.model.vision(Var<float>(Tensor<float>::zeros({rows, 24})), grids);
  };
  CHECK_NOTHROW(encode(8, {1, 2, 4}));
  CHECK(testing::fails_with([&] { encode(7, {1, 2, 4}); }, "expected patches [8, 24]", "got [7, 24]"));
  CHECK(testing::fails_with([&] { encode(6, {1, 2, 3}); }, "multiples of 2 patches", "1 x 2 x 3"));
  CHECK(testing::fails_with([&] { encode(0, {0, 2, 2}); }, "multiples of 2 patches"));
}

TEST_CASE("Qwen3-VL has no positions for a video as one picture") {
  const Case<Qwen3> of("deep");
  Picture clip;
  clip.grid = {2, 2, 2};
  const std::array placed{PlacedPicture{0, &clip}};
  CHECK(testing::fails_with([&] { of.model.positions(2, placed); }, "a picture for each time of a video"));
}
