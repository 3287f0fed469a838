#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caprl/core/error.hpp"
#include "caprl/core/index.hpp"
#include "caprl/tensor/prefix_tree.hpp"

namespace caprl {

/// Names a live sequence of a KV cache. Never used again after its release.
using SequenceId = Index;

/// Row `row` of a step's keys and values belongs at `offset` of `page`.
struct CacheSlot {
  Index row;
  Index page;
  Index offset;
};

/// The first `tokens` of page `from` are to be copied to page `to`, in every layer.
struct PageCopy {
  Index from;
  Index to;
  Index tokens;
};

/// What one step appends to a cache, and what its rows attend to. Integers only; the same for all layers.
///
/// Rows are the new tokens, sequence by sequence in the order given. Neighbouring sequences that share pages stand
/// together against each shared page: it is read once for all of them.
struct CacheStep {
  /// Rows [row_begin, row_end) all attend to pages [page_begin, page_end) of `pages`, whose first token has this
  /// position.
  struct Span {
    Index row_begin, row_end;
    Index page_begin, page_end;
    Index position;
    Index tokens;  ///< that the pages hold
  };
  /// Rows [row_begin, row_end) attend to spans [span_begin, span_end), and no others do. Another cluster has the same
  /// pages in spans of its own where sequences that share them are not neighbours.
  struct Cluster {
    Index row_begin, row_end;
    Index span_begin, span_end;
  };

  std::vector<Index> positions;  ///< of each row in its sequence [rows]
  std::vector<CacheSlot> slots;
  std::vector<PageCopy> copies;  ///< to be made before anything is stored
  std::vector<Index> pages;
  std::vector<Span> spans;
  std::vector<Cluster> clusters;

  Index rows() const { return static_cast<Index>(positions.size()); }
};

/// Where the rows of a prefix tree go, and the sequence that ends with each of its segments.
struct CachePrefill {
  std::vector<CacheSlot> slots;  ///< a row may have several: each child of a partly filled page has a page of its own
  std::vector<SequenceId> sequences;  ///< [segments]
};

/// The pages of the sequences of a KV cache: integers only. A page holds the keys and values of a fixed number of
/// tokens. Sequences share pages, counted by reference; a page is written only by a sequence that holds it alone.
class PageTable {
 public:
  /// Pages that a row attends to at once, at most.
  static constexpr Index span_pages = 8;

  explicit PageTable(Index page_tokens) : page_tokens_(page_tokens) {
    require(page_tokens >= 1, "[PageTable] expected at least 1 token a page");
  }

  Index page_tokens() const { return page_tokens_; }
  Index length(SequenceId id) const { return find(id).length; }
  std::span<const Index> pages(SequenceId id) const { return find(id).pages; }
  Index live_sequences() const { return static_cast<Index>(sequences_.size()); }
  Index pages_in_use() const { return page_count() - static_cast<Index>(free_.size()); }
  /// Pages that were ever in use at once.
  Index page_count() const { return static_cast<Index>(references_.size()); }
  Index references(Index page) const { return references_[static_cast<std::size_t>(page)]; }

  /// A new sequence without tokens.
  SequenceId create() {
    sequences_.emplace(next_, Sequence{});
    return next_++;
  }

  /// A new sequence with the same tokens, in the same pages.
  SequenceId fork(SequenceId id) {
    Sequence copy = find(id);
    for (const Index page : copy.pages) ++references_[static_cast<std::size_t>(page)];
    sequences_.emplace(next_, std::move(copy));
    return next_++;
  }

  /// Ends a sequence. Pages that no other holds are free again.
  void release(SequenceId id) {
    for (const Index page : find(id).pages) drop(page);
    sequences_.erase(id);
  }

  /// Makes room for counts[i] >= 1 tokens behind sequence i. Throws Error, and changes nothing, if a sequence is not
  /// live or named twice or a count is not positive.
  CacheStep extend(std::span<const SequenceId> ids, std::span<const Index> counts) {
    require_extension(ids, counts);
    CacheStep step;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      Sequence& sequence = find(ids[i]);
      if (const Index used = sequence.length % page_tokens_; used > 0 && references(sequence.pages.back()) > 1) {
        const Index shared = sequence.pages.back();
        sequence.pages.back() = take();
        drop(shared);
        step.copies.push_back({shared, sequence.pages.back(), used});
      }
      for (Index token = 0; token < counts[i]; ++token) {
        step.positions.push_back(sequence.length);
        step.slots.push_back(append(sequence, step.rows() - 1));
      }
    }
    plan(step, ids, counts);
    return step;
  }

  /// Makes room for all rows of a tree, one sequence for each segment: its path from the root. Sequences that are not
  /// wanted (inner segments, once their continuations are forked) are the caller's to release.
  CachePrefill prefill(const PrefixTree& tree) {
    CachePrefill prefill;
    for (Index s = 0; s < tree.segment_count(); ++s) {
      const PrefixTree::Segment& segment = tree.segment(s);
      const Index parent = segment.parent;
      prefill.sequences.push_back(parent < 0 ? create() : fork(prefill.sequences[static_cast<std::size_t>(parent)]));
      if (segment.rows() == 0) continue;
      Sequence& sequence = find(prefill.sequences.back());
      if (const Index used = sequence.length % page_tokens_; used > 0) {
        drop(sequence.pages.back());
        sequence.pages.pop_back();
        sequence.length -= used;
        const std::vector<Index> path = tree.path_rows(parent);
        for (auto row = path.end() - used; row != path.end(); ++row) prefill.slots.push_back(append(sequence, *row));
      }
      for (Index row = segment.row_begin; row < segment.row_end; ++row) prefill.slots.push_back(append(sequence, row));
    }
    return prefill;
  }

 private:
  struct Sequence {
    std::vector<Index> pages;
    Index length = 0;
  };

  const Sequence& find(SequenceId id) const {
    const auto found = sequences_.find(id);
    if (found == sequences_.end()) throw Error("[PageTable] expected a live sequence, got " + std::to_string(id));
    return found->second;
  }
  Sequence& find(SequenceId id) { return const_cast<Sequence&>(std::as_const(*this).find(id)); }

  void require_extension(std::span<const SequenceId> ids, std::span<const Index> counts) const {
    require(ids.size() == counts.size(), "[PageTable::extend] expected one count for each sequence");
    std::vector<SequenceId> sorted(ids.begin(), ids.end());
    std::sort(sorted.begin(), sorted.end());
    require(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(),
            "[PageTable::extend] expected each sequence once");
    for (std::size_t i = 0; i < ids.size(); ++i) {
      find(ids[i]);
      require(counts[i] >= 1, "[PageTable::extend] expected at least 1 token for each sequence");
    }
  }

  Index take() {
    if (free_.empty()) {
      references_.push_back(1);
      return page_count() - 1;
    }
    const Index page = free_.back();
    free_.pop_back();
    references_[static_cast<std::size_t>(page)] = 1;
    return page;
  }

  void drop(Index page) {
    if (--references_[static_cast<std::size_t>(page)] == 0) free_.push_back(page);
  }

  CacheSlot append(Sequence& sequence, Index row) {
    if (sequence.length % page_tokens_ == 0) sequence.pages.push_back(take());
    return {row, sequence.pages.back(), sequence.length++ % page_tokens_};
  }

  /// One of a step's sequences: its pages, its length and its rows.
  struct Member {
    const Sequence* sequence;
    Index row_begin;
    Index row_end;

    /// -1 behind the last page.
    Index page(Index p) const {
      return p < static_cast<Index>(sequence->pages.size()) ? sequence->pages[static_cast<std::size_t>(p)] : -1;
    }
  };

  void plan(CacheStep& step, std::span<const SequenceId> ids, std::span<const Index> counts) const {
    std::vector<Member> members;
    Index row = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      members.push_back({&find(ids[i]), row, row + counts[i]});
      row += counts[i];
    }
    for (std::span<const Member> rest = members; !rest.empty();) {
      const std::span<const Member> run = run_of(rest, 0);
      const auto first_span = static_cast<Index>(step.spans.size());
      plan_run(step, run, 0);
      step.clusters.push_back(
          {run.front().row_begin, run.back().row_end, first_span, static_cast<Index>(step.spans.size())});
      rest = rest.subspan(run.size());
    }
  }

  /// The first members that have page number p in common.
  static std::span<const Member> run_of(std::span<const Member> members, Index p) {
    std::size_t count = 1;
    while (count < members.size() && members[count].page(p) == members[0].page(p)) ++count;
    return members.first(count);
  }

  /// Adds the spans of members that share the pages before p and page p itself.
  void plan_run(CacheStep& step, std::span<const Member> run, Index p) const {
    Index end = p;
    while (run[0].page(end) >= 0 && run_of(run, end).size() == run.size()) ++end;
    Index length = 0;
    for (const Member& member : run) length = std::max(length, member.sequence->length);
    for (Index begin = p; begin < end; begin += span_pages) {
      const auto first = static_cast<Index>(step.pages.size());
      for (Index page = begin; page < std::min(end, begin + span_pages); ++page)
        step.pages.push_back(run[0].page(page));
      const auto last = static_cast<Index>(step.pages.size());
      const Index position = begin * page_tokens_;
      step.spans.push_back({run.front().row_begin, run.back().row_end, first, last, position,
                            std::min((last - first) * page_tokens_, length - position)});
    }
    for (std::span<const Member> rest = run; !rest.empty();) {
      const std::span<const Member> part = run_of(rest, end);
      if (part[0].page(end) >= 0) plan_run(step, part, end);
      rest = rest.subspan(part.size());
    }
  }

  Index page_tokens_;
  SequenceId next_ = 0;
  std::unordered_map<SequenceId, Sequence> sequences_;
  std::vector<Index> references_;  ///< of each page
  std::vector<Index> free_;
};

}  // namespace caprl
