#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "caprl/core/index.hpp"
#include "caprl/tensor/device.hpp"

namespace caprl {

/// What the allocator has done, in bytes and calls, since the program started (peak: since `reset_peak`).
struct MemoryCounters {
  Index in_use = 0;
  Index peak = 0;
  Index held = 0;                ///< taken from the system, in use or waiting to be used again
  Index system_allocations = 0;  ///< a steady training step adds none
};

/// Keeps freed blocks for the next request of their size class, so that a steady step takes nothing from the system.
/// They go back to it only where a request would fail otherwise, or go beyond `hold_at_most`: a program holds what it
/// had in use at most, size class by size class. Size classes are spaced at quarters of a power of two: at most 25 % of
/// a block is waste. Thread-safe.
class CpuAllocator {
 public:
  static constexpr std::size_t alignment = 64;

  static CpuAllocator& instance() {
    static CpuAllocator* allocator = new CpuAllocator;  // never destroyed: static tensors may outlive it
    return *allocator;
  }

  /// 64-byte-aligned, uninitialised. Throws std::bad_alloc if the system has too little, the unused blocks given back.
  void* allocate(Index bytes) {
    const Index size = size_class(bytes);
    const std::scoped_lock lock(mutex_);
    auto& free = free_[size];
    void* block = nullptr;
    if (free.empty()) {
      block = take_from_system(size);
    } else {
      block = free.back();
      free.pop_back();
    }
    counters_.in_use += size;
    counters_.peak = std::max(counters_.peak, counters_.in_use);
    return block;
  }

  void release(void* block, Index bytes) {
    const Index size = size_class(bytes);
    const std::scoped_lock lock(mutex_);
    counters_.in_use -= size;
    free_[size].push_back(block);
  }

  MemoryCounters counters() const {
    const std::scoped_lock lock(mutex_);
    return counters_;
  }

  void reset_peak() {
    const std::scoped_lock lock(mutex_);
    counters_.peak = counters_.in_use;
  }

  /// From now on unused blocks go back to the system before it is asked for more than so many bytes in all.
  void hold_at_most(Index bytes) {
    const std::scoped_lock lock(mutex_);
    most_held_ = bytes;
  }

  /// The smallest of 4, 5, 6, 7 times a power of two that holds `bytes`, at least 256.
  static Index size_class(Index bytes) {
    const auto wanted = static_cast<std::uint64_t>(std::max<Index>(bytes, 256));
    const std::uint64_t quarter = std::bit_floor(wanted) / 4;
    return static_cast<Index>((wanted + quarter - 1) / quarter * quarter);
  }

 private:
  CpuAllocator() = default;

  void* take_from_system(Index size) {
    if (counters_.held + size > most_held_) give_back_unused();
    void* block = std::aligned_alloc(alignment, static_cast<std::size_t>(size));
    if (block == nullptr) {
      give_back_unused();
      block = std::aligned_alloc(alignment, static_cast<std::size_t>(size));
    }
    if (block == nullptr) throw std::bad_alloc();
    ++counters_.system_allocations;
    counters_.held += size;
    return block;
  }

  void give_back_unused() {
    for (auto& [size, blocks] : free_) {
      for (void* block : blocks) std::free(block);
      counters_.held -= size * static_cast<Index>(blocks.size());
      blocks.clear();
    }
#if defined(__GLIBC__)
    ::malloc_trim(0);  // what the C library keeps of them
#endif
  }

  mutable std::mutex mutex_;
  std::map<Index, std::vector<void*>> free_;
  MemoryCounters counters_;
  Index most_held_ = std::numeric_limits<Index>::max();
};

/// A reference-counted block of `count` elements of uninitialised device memory.
template <class T>
std::shared_ptr<T[]> allocate_storage(Cpu, Index count) {
  const Index bytes = count * static_cast<Index>(sizeof(T));
  auto* block = static_cast<T*>(CpuAllocator::instance().allocate(bytes));
  return std::shared_ptr<T[]>(block, [bytes](T* data) { CpuAllocator::instance().release(data, bytes); });
}

template <class T>
std::shared_ptr<T[]> allocate_storage(ShapesOnly, Index) {
  return nullptr;
}

}  // namespace caprl
