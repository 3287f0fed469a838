#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "caprl/core/index.hpp"
#include "caprl/model/decoder.hpp"
#include "caprl/model/packed_products.hpp"
#include "caprl/nn/kv_cache.hpp"
#include "caprl/tensor/prefix_tree.hpp"
#include "caprl/tensor/weight_format.hpp"
#include "caprl/train/memory_plan.hpp"
#include "caprl/train/model_shapes.hpp"
#include "caprl/train/shape_tape.hpp"

namespace caprl::detail {

using ShapeDecoder = Decoder<float, ShapesOnly>;

/// The chunks of a `KvCache` with so many pages.
inline Index cache_bytes(const DecoderSettings& settings, Index pages) {
  const KvCacheShape shape{
      .layers = settings.layers, .key_heads = settings.block.key_value_heads, .head_size = settings.block.head_size};
  constexpr Index chunk_pages = KvCache<float>::chunk_pages;
  const Index chunk = shape.layers * 2 * shape.key_heads * chunk_pages * cache_block_elements<float>(Cpu{}, shape);
  return (pages + chunk_pages - 1) / chunk_pages * bytes_of_numbers(chunk);
}

/// Weights laid out to write so many sequences at once, if they are.
inline Index packed_for(const ShapeDecoder& decoder, Index sequences, Index most_bytes) {
  const bool packs = PackedProducts::pays(decoder, sequences, most_bytes);
  return packs ? PackedProducts::packed_bytes(decoder, WeightFormat::float32) : 0;
}

/// What `generate` reads at once and writes token by token, with a cache of so many pages after either.
struct Writing {
  const PrefixTree& tree;
  Index sequences;
  Index pages_read, pages_written;
  Index packed;  ///< weights laid out for it
  Index kept;    ///< rows that were read
  const char* written = ": captions";
};

/// One pass of a decoder, and the draw of a token for each sequence: logits, and logarithms of probabilities.
template <class Attend>
void shapes_of_draw(ShapeTape& tape, const ShapeDecoder& decoder, const ShapeVar& x, Index sequences,
                    const Attend& attend, const FeatureShapes& features) {
  const auto angles = angle_shapes(tape, x.rows(), decoder.settings.block.head_size);
  const ShapeVar hidden = decoder_shapes(tape, decoder, x, angles, attend, features);
  const HeldNumbers states = tape.hold(sequences * x.columns());
  const HeldNumbers logits = tape.hold(sequences * decoder.settings.vocabulary_size);
  const HeldNumbers log_probabilities = tape.hold(sequences * decoder.settings.vocabulary_size);
}

/// The most bytes that reading takes beyond the prompts' embedded rows.
inline Index peak_of_reading(const ShapeDecoder& decoder, const Writing& writing, const FeatureShapes& features) {
  MemoryMeter meter;
  ShapeTape tape(meter, false);
  const auto rows = AttentionRows::of(writing.tree, 0, true);
  const auto attend = [&](ShapeTape& at, std::size_t, const ShapeVar& qkv) {
    return at.tree_attention(qkv, rows, heads_of(decoder.settings.block));
  };
  const ShapeVar embedded_rows(writing.tree.rows(), decoder.settings.block.hidden_size, {}, false);
  shapes_of_draw(tape, decoder, embedded_rows, writing.sequences, attend, features);
  return meter.peak();
}

/// The most bytes that writing one token of each sequence takes.
inline Index peak_of_writing(const ShapeDecoder& decoder, Index sequences) {
  const BlockSettings& sizes = decoder.settings.block;
  MemoryMeter meter;
  ShapeTape tape(meter, false);
  const auto attend = [&](ShapeTape& at, std::size_t, const ShapeVar& qkv) {
    return at.leaf(qkv.rows(), sizes.query_columns());
  };
  shapes_of_draw(tape, decoder, tape.leaf(sequences, sizes.hidden_size), sequences, attend, {});
  return meter.peak();
}

/// What reading takes, and what writing takes.
inline std::pair<MemoryPhase, MemoryPhase> phases_of_writing(const std::string& name, const ShapeDecoder& decoder,
                                                             const Writing& writing, const FeatureShapes& features) {
  const auto phase = [&](const char* what, Index pages, Index activations) -> MemoryPhase {
    return {name + what,
            {{"KV cache", cache_bytes(decoder.settings, pages)},
             {"packed weights", writing.packed},
             {"activations", writing.kept + activations}}};
  };
  return {phase(": prompts", writing.pages_read, peak_of_reading(decoder, writing, features)),
          phase(writing.written, writing.pages_written, peak_of_writing(decoder, writing.sequences))};
}

}  // namespace caprl::detail
