#pragma once

#include <omp.h>

#include <algorithm>
#include <exception>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"

namespace caprl {

namespace detail {

inline int& thread_count() {
  static int count = omp_get_max_threads();
  return count;
}

}  // namespace detail

/// The size of the one OpenMP team that all CPU work shares. A setting of a run: results are the same bytes for the
/// same count.
inline int threads() { return detail::thread_count(); }

inline void set_threads(int count) {
  require(count >= 1, "[set_threads] expected at least 1 thread");
  detail::thread_count() = count;
  omp_set_num_threads(count);
}

/// True inside a chunk of `parallel_chunks`, where everything below must be serial.
inline bool inside_parallel() { return omp_in_parallel() != 0; }

/// Calls body(begin, end) on disjoint static chunks of [0, count), one per thread, none smaller than `grain` unless it
/// is the only one. Inside a chunk of another call there is one chunk; else they depend on count, grain and the thread
/// setting alone. If bodies throw, the exception of the first chunk that did is thrown here, after all have ended.
template <class Body>
void parallel_chunks(Index count, Index grain, const Body& body) {
  if (count <= 0) return;
  const Index parts = std::clamp<Index>(count / std::max<Index>(grain, 1), 1, threads());
  if (parts == 1 || inside_parallel()) {
    body(Index{0}, count);
    return;
  }
  std::exception_ptr failure;
  Index failed_part = parts;
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(parts))
  for (Index part = 0; part < parts; ++part) {
    try {
      body(count * part / parts, count * (part + 1) / parts);
    } catch (...) {
#pragma omp critical(caprl_parallel_failure)
      if (part < failed_part) {
        failed_part = part;
        failure = std::current_exception();
      }
    }
  }
  if (failure) std::rethrow_exception(failure);
}

/// Calls body(i) for each i in [0, count); see `parallel_chunks`.
template <class Body>
void parallel_for(Index count, Index grain, const Body& body) {
  parallel_chunks(count, grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) body(i);
  });
}

/// Cuts units of known cost, 0 or more, into one run for each thread, of nearly equal cost, and calls body(begin, end)
/// for each run. For bodies whose results do not depend on who computes them.
template <class Body>
void parallel_chunks_by_cost(const std::vector<Index>& costs, const Body& body) {
  std::vector<Index> before(costs.size() + 1, 0);
  for (std::size_t u = 0; u < costs.size(); ++u) before[u + 1] = before[u] + costs[u];
  const Index parts = threads();
  const auto cut = [&](Index part) {
    if (part == parts) return static_cast<Index>(costs.size());  // where the last units cost nothing too
    return static_cast<Index>(std::ranges::lower_bound(before, before.back() * part / parts) - before.begin());
  };
  parallel_for(parts, 1, [&](Index part) {
    if (cut(part) < cut(part + 1)) body(cut(part), cut(part + 1));
  });
}

/// The same, with body(unit) for each unit.
template <class Body>
void parallel_by_cost(const std::vector<Index>& costs, const Body& body) {
  parallel_chunks_by_cost(costs, [&](Index begin, Index end) {
    for (Index unit = begin; unit < end; ++unit) body(unit);
  });
}

}  // namespace caprl
