#pragma once

#include "caprl/core/index.hpp"

namespace caprl {

/// Sizes of a KV cache.
struct KvCacheShape {
  Index layers = 1;
  Index key_heads = 1;
  Index head_size = 1;
  Index page_tokens = 16;  ///< a multiple of 16
};

/// A view of one layer of a KV cache: for each page and key head, a block of keys and a block of values. How a block is
/// laid out is the device's affair.
template <class T>
struct CacheLayer {
  T* const* chunks = nullptr;  ///< each holds chunk_pages pages of all layers
  Index layer = 0;
  Index key_heads = 0;
  Index head_size = 0;
  Index page_tokens = 0;
  Index chunk_pages = 0;
  Index block = 0;  ///< elements of a block

  T* keys(Index page, Index key_head) const { return at(2 * (layer * key_heads + key_head), page); }
  T* values(Index page, Index key_head) const { return at(2 * (layer * key_heads + key_head) + 1, page); }

 private:
  T* at(Index series, Index page) const {
    return chunks[page / chunk_pages] + (series * chunk_pages + page % chunk_pages) * block;
  }
};

}  // namespace caprl
