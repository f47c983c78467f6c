// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/volumes/md.hpp"

#include <algorithm>

#include "lib/disks/errors.hpp"

namespace slipway::disks {

namespace {

constexpr std::uint64_t kPage = 4096;  // md keeps parity page by page

template <typename... Args>
Error unfit(fmt::format_string<Args...> format, Args&&... args) {
    return make_error(errors::kVolumeManager, format, std::forward<Args>(args)...);
}

struct Share {
    std::uint64_t data = 0;  // where a member's share of the array begins
};

// raid4, raid5, raid6. A stripe is one chunk of each member, P and for raid6 Q among them; the bytes at one offset of
// a stripe's chunks belong together.
class ParityVolume final : public StackedVolume {
public:
    enum class Layout : std::uint32_t { LeftAsymmetric, RightAsymmetric, LeftSymmetric, RightSymmetric, First, Last };

    ParityVolume(std::vector<BlockDevice*> members, std::vector<Share> shares, std::uint64_t chunk, unsigned parity,
                 Layout layout, std::uint64_t stripes)
        : StackedVolume(std::move(members), stripes * chunk * (shares.size() - parity)),
          shares_(std::move(shares)),
          chunk_(chunk),
          parity_(parity),
          layout_(layout) {}

    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        TRY(check_range(offset, buffer.size()));
        while (!buffer.empty()) {
            auto chunk = offset / chunk_, inside = offset % chunk_;
            auto stripe = chunk / data_disks();
            auto member = member_of(stripe, static_cast<std::size_t>(chunk % data_disks()));
            auto n = std::min<std::uint64_t>(buffer.size(), chunk_ - inside);
            TRY(members_[member]->read(shares_[member].data + stripe * chunk_ + inside, buffer.first(n)));
            buffer = buffer.subspan(n);
            offset += n;
        }
        return {};
    }

    // The same bytes of every member of the stripe, so that parity stays right: where all of them are left out, all
    // read as zeros, and so must their parity.
    void place(Extent bytes, std::span<ExtentSet> members) const override {
        auto row = chunk_ * data_disks();
        while (bytes.length > 0) {
            auto stripe = bytes.offset / row, inside = bytes.offset % chunk_;
            Extent kept{stripe * chunk_ + inside / kPage * kPage, 0};
            auto n = std::min(bytes.length, chunk_ - inside);
            kept.length = std::min((inside + n + kPage - 1) / kPage * kPage, chunk_) - inside / kPage * kPage;
            if (bytes.offset % row == 0 && bytes.length >= row) {
                auto rows = bytes.length / row;
                n = rows * row;
                kept.length = rows * chunk_;
            }
            for (std::size_t i = 0; i < members.size(); ++i)
                members[i].add({shares_[i].data + kept.offset, kept.length});
            bytes = {bytes.offset + n, bytes.length - n};
        }
    }

private:
    std::size_t data_disks() const { return shares_.size() - parity_; }

    // The member that holds the n-th data chunk of a stripe (drivers/md/raid5.c, raid5_compute_sector).
    std::size_t member_of(std::uint64_t stripe, std::size_t n) const {
        auto all = shares_.size();
        auto turn = static_cast<std::size_t>(stripe % all);
        auto left = all - 1 - turn;
        switch (layout_) {
            case Layout::LeftAsymmetric: return around(left, n);
            case Layout::RightAsymmetric: return around(turn, n);
            case Layout::LeftSymmetric: return (left + parity_ + n) % all;
            case Layout::RightSymmetric: return (turn + parity_ + n) % all;
            case Layout::First: return n + parity_;
            case Layout::Last: break;
        }
        return n;
    }
    // Data in the members' order, with P at `p` and Q behind it left out.
    std::size_t around(std::size_t p, std::size_t n) const {
        if (parity_ == 2 && p == shares_.size() - 1) return n + 1;  // Q has gone round to the first
        return n >= p ? n + parity_ : n;
    }

    std::vector<Share> shares_;
    std::uint64_t chunk_;
    unsigned parity_;
    Layout layout_;
};

// raid10, near copies: each chunk `copies` times in a row over the members, going on with the next row.
class NearVolume final : public StackedVolume {
public:
    NearVolume(std::vector<BlockDevice*> members, std::vector<Share> shares, std::uint64_t chunk, unsigned copies,
               std::uint64_t chunks)
        : StackedVolume(std::move(members), chunks * chunk),
          shares_(std::move(shares)),
          chunk_(chunk),
          copies_(copies) {}

    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        TRY(check_range(offset, buffer.size()));
        while (!buffer.empty()) {
            auto [member, at] = copy(offset, 0);
            auto n = std::min<std::uint64_t>(buffer.size(), chunk_ - offset % chunk_);
            TRY(members_[member]->read(at, buffer.first(n)));
            buffer = buffer.subspan(n);
            offset += n;
        }
        return {};
    }

    void place(Extent bytes, std::span<ExtentSet> members) const override {
        while (bytes.length > 0) {
            auto n = std::min(bytes.length, chunk_ - bytes.offset % chunk_);
            for (unsigned i = 0; i < copies_; ++i) {
                auto [member, at] = copy(bytes.offset, i);
                members[member].add({at, n});
            }
            bytes = {bytes.offset + n, bytes.length - n};
        }
    }

private:
    Area copy(std::uint64_t offset, unsigned n) const {
        auto place = offset / chunk_ * copies_ + n;
        auto member = static_cast<std::size_t>(place % shares_.size());
        return {member, shares_[member].data + place / shares_.size() * chunk_ + offset % chunk_};
    }

    std::vector<Share> shares_;
    std::uint64_t chunk_;
    unsigned copies_;
};

using Supers = std::vector<const MdSuper*>;
using Members = std::vector<BlockDevice*>;
using Made = Result<std::unique_ptr<StackedVolume>>;

std::vector<Share> shares_of(const Supers& supers) {
    std::vector<Share> out;
    for (const auto* super : supers) out.push_back({super->data});
    return out;
}

Made make_linear(const Supers& supers, Members members) {
    std::vector<Segment> segments;
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < supers.size(); ++i) {
        auto length = supers[i]->chunk ? supers[i]->room / supers[i]->chunk * supers[i]->chunk : supers[i]->room;
        segments.push_back({Segment::Kind::Linear, at, length, 0, {{i, supers[i]->data}}});
        at += length;
    }
    return std::unique_ptr<StackedVolume>(new SegmentedVolume(std::move(members), std::move(segments)));
}

Made make_raid0(const Supers& supers, Members members) {
    auto chunk = supers[0]->chunk;
    auto each = supers[0]->room / chunk * chunk;
    Segment segment{Segment::Kind::Striped, 0, each * supers.size(), chunk, {}};
    for (std::size_t i = 0; i < supers.size(); ++i) {
        if (supers[i]->room / chunk * chunk != each) return unfit("its members are of different sizes");
        segment.areas.push_back({i, supers[i]->data});
    }
    return std::unique_ptr<StackedVolume>(new SegmentedVolume(std::move(members), {segment}));
}

Made make_raid1(const Supers& supers, Members members) {
    Segment segment{Segment::Kind::Mirrored, 0, supers[0]->component, 0, {}};
    for (std::size_t i = 0; i < supers.size(); ++i) segment.areas.push_back({i, supers[i]->data});
    return std::unique_ptr<StackedVolume>(new SegmentedVolume(std::move(members), {segment}));
}

Made make_raid10(const Supers& supers, Members members) {
    const auto& super = *supers[0];
    auto near = super.layout & 0xff, far = super.layout >> 8 & 0xff;
    if (super.layout >> 16 != 0 || far != 1 || near < 1 || near > super.disks)
        return unfit("its copies are laid out far or offset");
    auto rows = super.component / super.chunk;
    return std::unique_ptr<StackedVolume>(
        new NearVolume(std::move(members), shares_of(supers), super.chunk, near, rows * super.disks / near));
}

Made make_parity(const Supers& supers, Members members) {
    const auto& super = *supers[0];
    unsigned parity = super.level == 6 ? 2 : 1;
    auto layout = super.level == 4 ? ParityVolume::Layout::Last : ParityVolume::Layout{super.layout};
    if (layout > ParityVolume::Layout::Last) return unfit("its parity layout {} is not known", super.layout);
    if (super.disks < parity + 1) return unfit("it has too few members for its level");
    return std::unique_ptr<StackedVolume>(new ParityVolume(std::move(members), shares_of(supers), super.chunk, parity,
                                                           layout, super.component / super.chunk));
}

Status check_members(const Supers& supers) {
    const auto& first = *supers[0];
    for (std::size_t i = 0; i < supers.size(); ++i) {
        const auto& super = *supers[i];
        if (!super.trouble.empty()) return unfit("{}", super.trouble);
        if (super.events != first.events) return unfit("its members are not of the same state (events differ)");
        if (super.level != first.level || super.layout != first.layout || super.chunk != first.chunk ||
            super.disks != first.disks || super.component != first.component || super.role != i)
            return unfit("its members disagree on what it is");
        if (super.level > 0 && super.component > super.room) return unfit("a member is too small");
    }
    bool striped = first.level == 0 || first.level > 1;
    if (striped && (first.chunk < kPage || first.chunk % kPage != 0)) return unfit("its chunks are of no known size");
    return {};
}

}  // namespace

Result<std::unique_ptr<StackedVolume>> assemble_md(const std::vector<const MdSuper*>& supers,
                                                   std::vector<BlockDevice*> members) {
    if (supers.empty() || supers.size() != members.size() || supers.size() != supers[0]->disks)
        return unfit("it is degraded: members are missing");
    TRY(check_members(supers));
    switch (supers[0]->level) {
        case -1: return make_linear(supers, std::move(members));
        case 0: return make_raid0(supers, std::move(members));
        case 1: return make_raid1(supers, std::move(members));
        case 4:
        case 5:
        case 6: return make_parity(supers, std::move(members));
        case 10: return make_raid10(supers, std::move(members));
        default: return unfit("its level {} is not known", supers[0]->level);
    }
}

}  // namespace slipway::disks
