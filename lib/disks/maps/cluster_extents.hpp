// SPDX-License-Identifier: GPL-3.0-or-later
// Used clusters, told in ascending order, as extents of a volume. The memory is bounded: past kMaxRuns runs the
// smallest gaps are taken as used too, so that a badly fragmented (or hostile) volume costs reading, never memory.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/disks/used_map.hpp"

namespace slipway::disks {

struct ClusterRun {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    std::uint64_t end() const { return first + count; }
};

// Where clusters lie; the caller has seen that they end inside the volume.
struct ClusterHeap {
    std::uint64_t offset = 0;  // bytes from the start of the volume to cluster 0
    std::uint64_t cluster_bytes = 0;
    std::uint64_t clusters = 0;
};

class ClusterExtents {
public:
    static constexpr std::size_t kMaxRuns = 1u << 20;  // 16 MiB

    explicit ClusterExtents(ClusterHeap heap, std::size_t max_runs = kMaxRuns) : heap_(heap), max_runs_(max_runs) {}

    // Clusters not to be kept though they are used; sorted and disjoint. Before the first add.
    void leave_out(std::vector<ClusterRun> runs) { left_out_ = std::move(runs); }
    std::uint64_t left_out() const { return left_out_clusters_; }  // used clusters that were left out so far

    void add(ClusterRun run);  // behind all those added before
    // One bit a cluster, lowest bit first; bits past the last cluster mean nothing.
    void add_bitmap(ByteView bits, std::uint64_t first_cluster);

    bool has(ClusterRun run) const;  // all of it
    // Everything before the heap, the runs, and everything behind the heap.
    ExtentList extents(std::uint64_t volume_bytes) const;

private:
    void append(ClusterRun run);
    void coarsen();

    ClusterHeap heap_;
    std::size_t max_runs_;
    std::vector<ClusterRun> runs_;
    std::uint64_t gap_ = 0;  // gaps up to this many clusters are taken as used
    std::vector<ClusterRun> left_out_;
    std::size_t next_left_out_ = 0;
    std::uint64_t left_out_clusters_ = 0;
};

// Sorts them; false when two overlap.
bool sort_disjoint(std::vector<ClusterRun>& runs);

}  // namespace slipway::disks
