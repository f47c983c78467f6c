// SPDX-License-Identifier: GPL-3.0-or-later
// A volume group's logical volumes over its physical ones.
#include <algorithm>
#include <set>

#include "lib/disks/volumes/graph.hpp"
#include "lib/disks/volumes/thin.hpp"

namespace slipway::disks {

namespace {

bool is_plain(const LvmLogical& logical) {
    return std::all_of(logical.segments.begin(), logical.segments.end(), [](const LvmSegment& s) {
        return s.type == "striped" && !s.areas.empty() &&
               (s.areas.size() == 1 || (s.stripe >= 4096 && s.stripe % 512 == 0));
    });
}

const LvmSegment* only(const LvmLogical& logical, std::string_view type) {
    return logical.segments.size() == 1 && logical.segments[0].type == type ? &logical.segments[0] : nullptr;
}

// Room for the repair of a pool's metadata: it holds nothing.
bool is_spare(const LvmLogical& logical) { return !logical.visible && logical.name.ends_with("_pmspare"); }

class GroupBuilder {
public:
    GroupBuilder(VolumeGraph& graph, const LvmGroup& group, std::map<std::string, std::size_t> physical)
        : graph_(graph), group_(group), physical_(std::move(physical)) {}

    void build() {
        for (const auto& [name, logical] : group_.logical)
            for (const auto& segment : logical.segments) used_.insert(segment.uses.begin(), segment.uses.end());
        for (const auto& [name, logical] : group_.logical) judge(logical);
        for (const auto& [name, logical] : group_.logical)
            if (const auto* pool = only(logical, "thin-pool"); pool && !whole_.contains(name)) build_pool(name, *pool);
        for (const auto& [name, logical] : group_.logical) {
            auto why = whole_.find(name);
            if (why != whole_.end()) keep_whole(logical, why->second);
            else if (!used_.contains(name)) make_top(logical);
        }
        // Nothing is left out: what seemed a part of another one, and was not, is a volume of its own.
        for (const auto& [name, logical] : group_.logical)
            if (!whole_.contains(name) && !made_.contains(name)) make_top(logical);
    }

private:
    // What is not looked through makes all it stands on count.
    void judge(const LvmLogical& logical) {
        bool known = is_plain(logical) || only(logical, "thin-pool") || only(logical, "thin");
        if (!known) mark(logical.name, "LVM's " + logical.segments[0].type + " is taken whole");
        if (const auto* thin = only(logical, "thin"))
            if (auto origin = thin->texts.find("external_origin"); origin != thin->texts.end())
                mark(origin->second, "it is the origin of a thin volume");
    }

    void mark(const std::string& name, const std::string& why) {
        auto it = group_.logical.find(name);
        if (it == group_.logical.end() || !whole_.emplace(name, why).second) return;
        for (const auto& segment : it->second.segments)
            for (const auto& use : segment.uses) mark(use, why);
    }

    void make_top(const LvmLogical& logical) {
        if (is_plain(logical) && !is_spare(logical) && !make(logical, false))
            keep_whole(logical, "a part of it is missing");
    }

    std::string full_name(const std::string& name) const { return group_.name + "/" + name; }

    // The number of the volume that `name` stands for; logical ones are made when they are first asked for.
    std::optional<std::size_t> node_of(const std::string& name) {
        if (auto pv = physical_.find(name); pv != physical_.end()) return pv->second;
        auto lv = group_.logical.find(name);
        return lv == group_.logical.end() || !is_plain(lv->second) ? std::nullopt : make(lv->second, true);
    }

    std::optional<std::size_t> make(const LvmLogical& logical, bool hidden) {
        if (auto made = made_.find(logical.name); made != made_.end()) return made->second;
        made_[logical.name] = std::nullopt;  // so that a volume that lies over itself comes to nothing
        std::vector<std::size_t> numbers;
        std::vector<Segment> segments;
        for (const auto& from : logical.segments) {
            Segment segment;
            segment.start = from.start * group_.extent_bytes;
            segment.length = from.extents * group_.extent_bytes;
            if (from.areas.size() > 1) {
                segment.kind = Segment::Kind::Striped;
                segment.chunk = from.stripe;
                if (group_.extent_bytes % from.stripe != 0) return std::nullopt;
            }
            for (const auto& area : from.areas) {
                auto number = node_of(area.of);
                if (!number) return std::nullopt;
                auto at =
                    static_cast<std::size_t>(std::find(numbers.begin(), numbers.end(), *number) - numbers.begin());
                if (at == numbers.size()) numbers.push_back(*number);
                segment.areas.push_back({at, start_of(area)});
            }
            segments.push_back(std::move(segment));
        }
        std::vector<BlockDevice*> devices;
        for (auto number : numbers) devices.push_back(graph_[number].device);
        auto stack = std::make_unique<SegmentedVolume>(std::move(devices), std::move(segments));
        return made_[logical.name] =
                   graph_.add(full_name(logical.name), "lvm", std::move(stack), std::move(numbers), hidden);
    }

    std::uint64_t start_of(const LvmArea& area) const {
        auto pv = group_.physical.find(area.of);
        return (pv == group_.physical.end() ? 0 : pv->second.start) + area.extent * group_.extent_bytes;
    }

    void keep_whole(const LvmLogical& logical, const std::string& why) {
        if (!kept_.insert(logical.name).second) return;
        if (is_plain(logical))
            if (auto number = make(logical, !logical.visible)) return graph_.take_whole(*number, why);
        if (logical.visible) graph_.warnings.push_back(full_name(logical.name) + ": " + why);
        keep_areas(logical, why);
    }

    // Straight on the physical volumes, where the logical one could not be made.
    void keep_areas(const LvmLogical& logical, const std::string& why) {
        for (const auto& segment : logical.segments) {
            for (const auto& area : segment.areas) {
                auto pv = physical_.find(area.of);
                if (pv == physical_.end()) continue;
                auto each = segment.type == "striped" ? segment.extents / segment.areas.size() : segment.extents;
                graph_[pv->second].used.add({start_of(area), each * group_.extent_bytes});
            }
            for (const auto& use : segment.uses) keep_whole(group_.logical.at(use), why);
        }
    }

    void build_pool(const std::string& name, const LvmSegment& segment) {
        auto text = [&](const char* key) {
            auto it = segment.texts.find(key);
            return it == segment.texts.end() ? std::string() : it->second;
        };
        auto metadata = node_of(text("metadata")), data = node_of(text("pool"));
        std::string why = "a part of the pool is missing or of a kind taken whole";
        if (metadata && data) {
            auto pool = read_thin_pool(*graph_[*metadata].device, graph_[*data].device->size());
            auto transaction = segment.numbers.find("transaction_id");
            if (!pool) why = pool.error().message();
            else if (transaction == segment.numbers.end() || transaction->second != pool->transaction)
                why = "the pool and the volume group are of different transactions";
            else if (build_thin(name, *pool, *data)) {
                // The trees lie anywhere in it.
                graph_.take_whole(*metadata, "a thin pool's metadata is kept whole");
                return;
            }
        }
        mark(name, why);
    }

    // False: too many volumes.
    bool build_thin(const std::string& pool_name, const ThinPool& pool, std::size_t data) {
        std::set<std::uint64_t> named;
        for (const auto& [name, logical] : group_.logical) {
            const auto* thin = only(logical, "thin");
            if (!thin || whole_.contains(name) || thin->texts.contains("external_origin")) continue;
            auto of = thin->texts.find("thin_pool");
            auto id = thin->numbers.find("device_id");
            if (of == thin->texts.end() || of->second != pool_name || id == thin->numbers.end()) continue;
            auto runs = pool.devices.find(id->second);
            auto volume = std::make_unique<ThinVolume>(
                *graph_[data].device, logical.extents() * group_.extent_bytes, pool.block_bytes,
                runs == pool.devices.end() ? std::vector<ThinRun>() : runs->second);
            if (!graph_.add(full_name(name), "thin", std::move(volume), {data}, false)) return false;
            named.insert(id->second);
        }
        // Volumes that are not looked into keep each block they have.
        for (const auto& [id, runs] : pool.devices)
            if (!named.contains(id))
                for (const auto& run : runs)
                    graph_[data].used.add({run.data_block * pool.block_bytes, run.count * pool.block_bytes});
        return true;
    }

    VolumeGraph& graph_;
    const LvmGroup& group_;
    std::map<std::string, std::size_t> physical_;  // name in the group -> number
    std::set<std::string> used_;                   // logical volumes that others stand on
    std::map<std::string, std::string> whole_;     // and why
    std::set<std::string> kept_;                   // whole ones that are done
    std::map<std::string, std::optional<std::size_t>> made_;
};

struct Found {
    LvmGroup group;
    std::string text;
    bool torn = false;  // its physical volumes tell different stories
};

std::map<std::string, Found> find_groups(VolumeGraph& graph) {
    std::map<std::string, Found> groups;  // by uuid
    for (auto& node : graph.nodes) {
        if (node.settled || !node.lvm || !node.lvm_metadata.group) continue;
        const auto& group = *node.lvm_metadata.group;
        auto [it, fresh] = groups.try_emplace(group.uuid, Found{group, node.lvm_metadata.text, false});
        if (!fresh) it->second.torn = it->second.torn || it->second.text != node.lvm_metadata.text;
    }
    return groups;
}

void build_group(VolumeGraph& graph, const Found& found, const std::map<std::string, std::size_t>& physical) {
    for (const auto& [name, number] : physical) {
        auto& node = graph[number];
        node.settled = true;
        node.map.label = found.group.name;
        node.used.add({0, found.group.physical.at(name).start});
        for (const auto& area : node.lvm->areas) node.used.add(area);
    }
    if (found.torn) {
        for (const auto& [name, number] : physical)
            graph.take_whole(number, "the physical volumes of " + found.group.name + " disagree on what it is");
        return;
    }
    GroupBuilder(graph, found.group, physical).build();
}

}  // namespace

bool assemble_groups(VolumeGraph& graph, bool forced) {
    auto before = graph.nodes.size();
    std::map<std::string, std::vector<std::size_t>> by_uuid;
    for (std::size_t i = 0; i < before; ++i)
        if (graph[i].lvm && !graph[i].settled) by_uuid[graph[i].lvm->uuid].push_back(i);
    for (const auto& [uuid, found] : find_groups(graph)) {
        std::map<std::string, std::size_t> physical;
        for (const auto& [name, pv] : found.group.physical) {
            auto nodes = by_uuid.find(pv.uuid);
            if (nodes == by_uuid.end() || nodes->second.size() != 1) continue;
            auto number = nodes->second.front();
            const auto& node = graph[number];
            auto size = node.device->size();
            // What a volume itself says of where it belongs comes first: the others' copy may be older.
            bool elsewhere = node.lvm_metadata.group && node.lvm_metadata.group->uuid != uuid;
            if (node.settled || elsewhere || pv.start > size ||
                pv.extents > (size - pv.start) / found.group.extent_bytes)
                continue;
            physical[name] = number;
        }
        if (physical.size() == found.group.physical.size() || forced) build_group(graph, found, physical);
    }
    if (forced)
        for (const auto& [uuid, numbers] : by_uuid)
            for (auto number : numbers)
                if (!graph[number].settled)
                    graph.take_whole(number, numbers.size() > 1 ? "another volume says it is the same physical volume"
                                                                : "no volume group found here has it as it is");
    return graph.nodes.size() > before;
}

}  // namespace slipway::disks
