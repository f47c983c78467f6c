// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/volumes/volume_set.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "lib/disks/layout.hpp"
#include "lib/disks/volumes/graph.hpp"

namespace slipway::disks {

std::optional<std::size_t> VolumeGraph::add(std::string name, std::string kind, std::unique_ptr<StackedVolume> stack,
                                            std::vector<std::size_t> members, bool hidden) {
    unsigned depth = 0;
    for (auto member : members) depth = std::max(depth, nodes[member].depth + 1);
    if (depth > kMaxVolumeDepth || nodes.size() >= kMaxInnerVolumes) return std::nullopt;
    VolumeNode node;
    node.name = std::move(name);
    node.kind = std::move(kind);
    node.device = stack.get();
    node.stack = std::move(stack);
    node.members = std::move(members);
    node.depth = depth;
    node.hidden = hidden;
    nodes.push_back(std::move(node));
    return nodes.size() - 1;
}

void VolumeGraph::take_whole(std::size_t number, std::string why) {
    auto& node = nodes[number];
    node.settled = true;
    if (node.map.why_all.empty()) node.map.why_all = std::move(why);
}

namespace {

constexpr std::string_view kTooDeep = "too many volumes in one another";

class Assembler {
public:
    Assembler(VolumeGraph& graph, const MapOptions& options) : graph_(graph), options_(options) {}

    Status run() {
        for (std::size_t probed = 0;;) {
            for (; probed < graph_.nodes.size(); ++probed) {
                auto& node = graph_[probed];
                if (node.hidden || node.settled) continue;
                auto status = probe(probed);
                // A given volume that cannot be read is the caller's affair; of an inner one the rest is still good.
                if (!status && node.members.empty()) return status;
                if (!status) graph_.take_whole(probed, "it could not be read: " + status.error().message());
            }
            if (assemble_arrays() || assemble_groups(graph_, false) || assemble_groups(graph_, true)) continue;
            break;
        }
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            if (graph_[i].md && !graph_[i].settled)
                graph_.take_whole(i, md_name(*graph_[i].md) + ": it is degraded: members are missing");
        carry_down();
        return {};
    }

private:
    Status probe(std::size_t number) {
        auto& node = graph_[number];
        auto& volume = *node.device;
        if (auto super = TRY(read_md_super(volume))) return probe_md(number, std::move(*super));
        Bytes head(std::min<std::uint64_t>(volume.size(), 4096));
        TRY(volume.read(0, head));
        if (auto label = parse_lvm_label(head)) return probe_lvm(number, std::move(*label));
        if (auto header = parse_luks_header(head)) return probe_luks(number, *header);
        node.map = TRY(map_used(volume, options_));
        node.settled = true;
        if (node.map.why_all.empty()) node.used.add(node.map.used);
        else if (node.map.filesystem.empty() && node.depth > 0) return probe_partitions(number);
        return {};
    }

    // A signature left behind by an earlier use of the volume: nobody knows which of the two counts.
    Result<bool> ambivalent(std::size_t number, std::string_view expected) {
        auto found = TRY(map_used(*graph_[number].device, options_)).filesystem;
        if (found.empty() || found == expected) return false;
        graph_.take_whole(number, fmt::format("it has the signatures of both {} and {}", expected, found));
        return true;
    }

    Status probe_md(std::size_t number, MdSuper super) {
        auto& node = graph_[number];
        node.map.filesystem = "mdraid";
        node.map.label = super.name;
        node.map.uuid = super.set.text();
        bool at_start = super.super < super.data;
        for (const auto& extent : super.metadata) node.used.add(extent);
        node.md = std::move(super);
        if (at_start) TRY(ambivalent(number, "mdraid"));
        return {};
    }

    Status probe_lvm(std::size_t number, LvmLabel label) {
        auto& node = graph_[number];
        node.map.filesystem = "lvm2";
        node.map.uuid = label.uuid;
        node.lvm = std::move(label);
        if (TRY(ambivalent(number, "lvm2"))) return {};
        auto metadata = read_lvm_metadata(*node.device, *node.lvm);
        if (metadata) node.lvm_metadata = std::move(*metadata);
        else graph_.take_whole(number, metadata.error().message());
        return {};
    }

    Status probe_luks(std::size_t number, const LuksHeader& header) {
        auto& node = graph_[number];
        node.map.filesystem = "luks";
        node.map.uuid = header.uuid;
        node.map.label = header.label;
        node.settled = true;
        if (!options_.luks) {
            graph_.take_whole(number, "it is encrypted, and no key was given");
            return {};
        }
        auto opened = options_.luks->open(*node.device, header);
        if (!opened) graph_.take_whole(number, "it is encrypted: " + opened.error().message());
        else if (!graph_.add("luks-" + header.uuid, "luks", std::move(opened->plain), {number}))
            graph_.take_whole(number, std::string(kTooDeep));
        else
            for (const auto& extent : opened->header) node.used.add(extent);
        return {};
    }

    // An array or a logical volume may hold a whole disk.
    Status probe_partitions(std::size_t number) {
        auto& node = graph_[number];
        auto layout = TRY(read_layout(*node.device));
        if (layout.partitions.empty()) return {};
        bool digit = !node.name.empty() && node.name.back() >= '0' && node.name.back() <= '9';
        std::uint64_t at = 0;
        for (const auto& partition : layout.partitions) {
            node.used.add({at, partition.offset - at});
            at = partition.offset + partition.length;
            auto window = std::make_unique<SegmentedVolume>(
                std::vector<BlockDevice*>{node.device},
                std::vector<Segment>{{Segment::Kind::Linear, 0, partition.length, 0, {{0, partition.offset}}}});
            if (!graph_.add(fmt::format("{}{}{}", node.name, digit ? "p" : "", partition.index), "partition",
                            std::move(window), {number}))
                return {};  // the volume stays whole
        }
        node.used.add({at, node.device->size() - at});
        node.map.filesystem = std::string(name_of(layout.table));
        node.map.why_all.clear();
        return {};
    }

    // True when volumes were added.
    bool assemble_arrays() {
        std::map<Uuid, std::vector<std::size_t>> sets;
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            if (graph_[i].md && !graph_[i].settled) sets[graph_[i].md->set].push_back(i);
        bool added = false;
        for (const auto& [set, numbers] : sets) added = assemble_array(numbers) || added;
        return added;
    }

    bool assemble_array(const std::vector<std::size_t>& numbers) {
        std::map<unsigned, std::size_t> roles;
        const auto& first = *graph_[numbers.front()].md;
        for (auto number : numbers) {
            auto role = graph_[number].md->role;
            if (role && !roles.emplace(*role, number).second) return give_up(numbers, "two members have one place");
        }
        if (roles.size() < first.disks) return false;  // the others may come
        std::vector<const MdSuper*> supers;
        std::vector<BlockDevice*> devices;
        std::vector<std::size_t> members;
        for (auto [role, number] : roles) {
            supers.push_back(&*graph_[number].md);
            devices.push_back(graph_[number].device);
            members.push_back(number);
        }
        auto array = assemble_md(supers, std::move(devices));
        if (!array) return give_up(numbers, md_name(first) + ": " + array.error().message());
        if (!graph_.add(md_name(first), md_level(first), std::move(*array), std::move(members)))
            return give_up(numbers, std::string(kTooDeep));
        for (auto number : numbers) graph_[number].settled = true;
        return true;
    }

    bool give_up(const std::vector<std::size_t>& numbers, const std::string& why) {
        for (auto number : numbers) graph_.take_whole(number, why);
        return false;
    }

    // From the innermost volumes down to the given ones: each is complete when its turn comes.
    void carry_down() {
        for (auto i = graph_.nodes.size(); i-- > 0;) {
            auto& node = graph_[i];
            auto size = node.device->size();
            if (node.map.why_all.empty()) {
                node.map.used = node.used.cut_to(size);
            } else {
                node.map.used = {};
                node.map.used.add({0, size});
            }
            describe(node);
            if (!node.stack) continue;
            std::vector<ExtentSet> below(node.members.size());
            for (const auto& extent : node.map.used.extents()) node.stack->place(extent, below);
            for (std::size_t m = 0; m < below.size(); ++m) {
                auto& member = graph_[node.members[m]];
                member.used.add(below[m].cut_to(member.device->size()));
            }
            if (!node.hidden) name_inside(i, i);
        }
    }

    // What was found inside, for the volumes below: its name there, through parts that have none of their own.
    void name_inside(std::size_t number, std::size_t found) {
        for (auto member : graph_[number].members) {
            auto& below = graph_[member];
            if (below.hidden) name_inside(member, found);
            else if (std::find(below.inside.begin(), below.inside.end(), found) == below.inside.end())
                below.inside.push_back(found);
        }
    }

    void describe(VolumeNode& node) {
        if (node.inside.empty()) return;
        std::reverse(node.inside.begin(), node.inside.end());
        constexpr std::size_t kNamed = 8;
        std::string text;
        auto state = VolumeState::Clean;
        for (std::size_t n = 0; n < node.inside.size(); ++n) {
            const auto& inner = graph_[node.inside[n]];
            state = worse(state, inner.map.state);
            if (n >= kNamed) continue;
            auto name = node.lvm ? inner.name.substr(inner.name.find('/') + 1) : inner.name;
            auto filesystem = inner.map.filesystem == name ? std::string() : inner.map.filesystem;
            if (!inner.map.inside.empty()) filesystem += (filesystem.empty() ? "" : ", ") + inner.map.inside;
            text += (n ? ", " : "") + name + (filesystem.empty() ? "" : " (" + filesystem + ")");
        }
        if (node.inside.size() > kNamed) text += fmt::format(" and {} more", node.inside.size() - kNamed);
        node.map.inside = node.lvm ? node.map.label + ": " + text : text;
        node.map.state = state;
    }

    static VolumeState worse(VolumeState a, VolumeState b) {
        auto rank = [](VolumeState s) {
            switch (s) {
                case VolumeState::Clean: return 0;
                case VolumeState::Unknown: return 1;
                case VolumeState::NeedsRecovery: return 2;
                case VolumeState::Hibernated: return 3;
            }
            return 3;
        };
        return rank(a) >= rank(b) ? a : b;
    }

    VolumeGraph& graph_;
    const MapOptions& options_;
};

}  // namespace

VolumeSet::VolumeSet(std::unique_ptr<VolumeGraph> graph) : graph_(std::move(graph)) {}
VolumeSet::~VolumeSet() = default;
VolumeSet::VolumeSet(VolumeSet&&) noexcept = default;
VolumeSet& VolumeSet::operator=(VolumeSet&&) noexcept = default;

Result<VolumeSet> VolumeSet::assemble(std::span<BlockDevice* const> volumes, const MapOptions& options) {
    VolumeSet set(std::make_unique<VolumeGraph>());
    auto& graph = *set.graph_;
    for (auto* volume : volumes) {
        graph.nodes.emplace_back();
        graph.nodes.back().device = volume;
    }
    TRY(Assembler(graph, options).run());
    set.warnings_ = graph.warnings;
    for (auto& node : graph.nodes) {
        if (!node.stack) {
            set.maps_.push_back(std::move(node.map));
            continue;
        }
        InnerVolume inner{node.name, node.kind, node.hidden, node.device, std::move(node.map), node.members};
        if (!node.hidden && !inner.map.why_all.empty())
            set.warnings_.push_back(fmt::format("{} ({}): {}", inner.name,
                                                inner.map.filesystem.empty() ? "unknown" : inner.map.filesystem,
                                                inner.map.why_all));
        set.inner_.push_back(std::move(inner));
    }
    return Result<VolumeSet>(std::move(set));
}

Result<std::vector<UsedMap>> map_volumes(std::span<BlockDevice* const> volumes, const MapOptions& options) {
    auto set = TRY(VolumeSet::assemble(volumes, options));
    return set.maps();
}

}  // namespace slipway::disks
