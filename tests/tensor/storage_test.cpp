#include "caprl/tensor/storage.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

using namespace caprl;

TEST_CASE("a freed block serves the next request of its size class") {
  auto& allocator = CpuAllocator::instance();
  void* const block = allocator.allocate(100'000);
  CHECK(reinterpret_cast<std::uintptr_t>(block) % CpuAllocator::alignment == 0);
  allocator.release(block, 100'000);
  const MemoryCounters before = allocator.counters();
  void* const again = allocator.allocate(99'999);
  CHECK(again == block);
  CHECK(allocator.counters().system_allocations == before.system_allocations);
  CHECK(allocator.counters().held == before.held);
  CHECK(allocator.counters().in_use == before.in_use + CpuAllocator::size_class(100'000));
  allocator.release(again, 99'999);
}

#ifndef __SANITIZE_ADDRESS__  // which ends the program at such a request
TEST_CASE("unused blocks are given back where the system has too little") {
  auto& allocator = CpuAllocator::instance();
  allocator.release(allocator.allocate(100'000), 100'000);
  const MemoryCounters before = allocator.counters();
  REQUIRE(before.held > before.in_use);
  CHECK_THROWS_AS(allocator.allocate(Index{1} << 60), std::bad_alloc);
  CHECK(allocator.counters().held == before.in_use);
  CHECK(allocator.counters().in_use == before.in_use);
  CHECK(allocator.counters().peak == before.peak);
  allocator.release(allocator.allocate(100'000), 100'000);  // and it goes on
}
#endif

TEST_CASE("unused blocks are given back before more is held than is allowed") {
  auto& allocator = CpuAllocator::instance();
  allocator.release(allocator.allocate(3'000'000), 3'000'000);
  const MemoryCounters before = allocator.counters();
  constexpr Index unusual = 300'000'000;  // of a class of which no other test has left an unused block
  const Index size = CpuAllocator::size_class(unusual);
  allocator.hold_at_most(before.held + size - 1);
  void* const block = allocator.allocate(unusual);
  CHECK(allocator.counters().held == before.in_use + size);
  void* const beyond = allocator.allocate(9'000'000);  // what is in use may be more
  CHECK(allocator.counters().held == allocator.counters().in_use);
  allocator.hold_at_most(std::numeric_limits<Index>::max());
  allocator.release(block, unusual);
  allocator.release(beyond, 9'000'000);
}
