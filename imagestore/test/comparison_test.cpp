// SPDX-License-Identifier: GPL-3.0-or-later
// Deploys onto targets that hold something already: an earlier version of the image, most of all.
#include "imagestore/comparison.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/store.hpp"
#include "imagestore/test/samples.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/errors.hpp"

namespace slipway::imagestore {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kChunks = 72;  // of the disk; 8 of them zero in the first version

auto at(Bytes& disk, std::uint64_t chunk) { return disk.begin() + static_cast<std::ptrdiff_t>(chunk * kMiB); }

struct Redeploy : testing::Test {
    TempDir dir = TempDir::create("redeploy").value();
    std::unique_ptr<Store> store;
    Bytes v1 = Bytes(kChunks * kMiB), v2;
    const std::set<std::uint64_t> changed{3, 17, 18, 40};  // 40 was zero
    std::unique_ptr<ManifestBytes> first, second;
    std::set<ChunkId> asked;

    void SetUp() override {
        StoreOptions options;
        options.create = true;
        store = Store::open(dir / "store", options).value();
        for (std::uint64_t c = 0; c < kChunks; ++c)
            if (c < 36 || c >= 44) put(v1, c, static_cast<unsigned>(c + 1));
        v2 = v1;
        for (auto c : changed) put(v2, c, static_cast<unsigned>(c + 1000));
        std::fill_n(at(v2, 60), 2 * kMiB, std::byte{0});  // given free since
        first = capture(v1);
        second = capture(v2);
    }
    static void put(Bytes& disk, std::uint64_t chunk, unsigned seed) {
        const auto content = samples::sample_chunk(seed);
        std::copy(content.begin(), content.end(), at(disk, chunk));
    }
    std::unique_ptr<ManifestBytes> capture(const Bytes& content) {
        disks::MemoryDisk disk(content);
        CaptureRequest request;
        request.name = "web";
        request.created_ms = v2 == content ? 2 : 1;
        request.all_sectors = true;
        request.disks = {{&disk, {"sda", "", "", 0, 0, 0}, {}}};
        EXPECT_TRUE(capture_disks(request, *store->writer().value()).ok());
        return store->manifest(ImageRef::parse("web").value()).value();
    }
    struct Counting : ChunkSource {
        Store& store;
        std::set<ChunkId>& asked;
        Counting(Store& s, std::set<ChunkId>& a) : store(s), asked(a) {}
        Result<Bytes> get(const ChunkId& id) override {
            asked.insert(id);
            return store.get(id);
        }
    };
    DeployRequest request(const ManifestBytes& manifest, Compare compare = Compare::Auto) {
        DeployRequest r;
        r.manifest = &manifest;
        r.compare = compare;
        r.threads = 3;
        return r;
    }
    Result<DeployReport> deploy(disks::BlockDevice& target, DeployRequest r) {
        asked.clear();
        Counting source(*store, asked);
        r.target = &target;
        return deploy_disk(r, source);
    }
    Result<DeployReport> deploy(disks::BlockDevice& target, const ManifestBytes& manifest,
                                Compare compare = Compare::Auto) {
        return deploy(target, request(manifest, compare));
    }
    static bool marked(disks::MemoryDisk& disk) {
        return as_text(ByteView(disk.content()).first(25)) == "SLIPWAY DEPLOY UNFINISHED";
    }
};

// Has no discard that gives zeros, as many a disk; and counts.
struct PlainDisk final : disks::PassLayer {
    using PassLayer::PassLayer;
    std::atomic<std::uint64_t> read_bytes{0}, written_bytes{0};
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        read_bytes += buffer.size();
        return below_.read(offset, buffer);
    }
    Status write(std::uint64_t offset, ByteView data) override {
        written_bytes += data.size();
        return below_.write(offset, data);
    }
    Result<bool> discard(std::uint64_t, std::uint64_t) override { return false; }
};

TEST_F(Redeploy, of_a_new_version_only_what_changed_is_asked_for_and_written) {
    disks::MemoryDisk disk(v1);
    PlainDisk target(disk);
    auto report = deploy(target, *second);
    ASSERT_TRUE(report) << report.error().describe();
    EXPECT_TRUE(disk.content() == v2);
    std::set<ChunkId> wanted;
    for (auto c : changed) wanted.insert(sha256(ByteView(v2).subspan(c * kMiB, kMiB)));
    EXPECT_EQ(asked, wanted);
    EXPECT_EQ(report->written_chunks, changed.size());
    EXPECT_EQ(report->kept_chunks, report->data_chunks - changed.size());
    EXPECT_EQ(report->compared_chunks, report->data_chunks);
    EXPECT_EQ(target.written_bytes, (changed.size() + 2 + 2) * kMiB)
        << "and what is zero now, and the mark with what it stood in place of; zeros that were there are left";
    // And once more: nothing at all.
    report = deploy(target, *second);
    EXPECT_TRUE(report && asked.empty() && report->written_chunks == 0 && disk.content() == v2);
}

TEST_F(Redeploy, a_blank_disk_costs_no_more_than_the_sample) {
    disks::MemoryDisk disk(v1.size());
    PlainDisk target(disk);
    auto report = deploy(target, *first);
    ASSERT_TRUE(report) << report.error().describe();
    EXPECT_TRUE(disk.content() == v1);
    EXPECT_EQ(report->sampled_chunks, Sample::kPlaces);
    EXPECT_EQ(report->sampled_equal, 0u);
    EXPECT_EQ(report->compared_chunks + report->kept_chunks, 0u);
    EXPECT_LT(target.read_bytes, Sample::kPlaces * kMiB + 100) << "and a look for the mark";
    // Known to be blank, as a file that was just made: not even that.
    disks::MemoryDisk fresh(v1.size());
    PlainDisk made(fresh);
    auto r = request(*first);
    r.target_is_blank = true;
    ASSERT_TRUE(deploy(made, r));
    EXPECT_LT(made.read_bytes, 100u);
}

TEST_F(Redeploy, a_place_with_one_bit_turned_is_fetched) {
    for (std::uint64_t bad : {0, 1, 35, 71}) {
        disks::MemoryDisk disk(v1);
        *(at(disk.content(), bad) + 12345) ^= std::byte{0x10};
        auto report = deploy(disk, *first);
        ASSERT_TRUE(report) << report.error().describe();
        EXPECT_TRUE(disk.content() == v1) << bad;
        EXPECT_EQ(asked, std::set<ChunkId>{sha256(ByteView(v1).subspan(bad * kMiB, kMiB))});
    }
}

TEST_F(Redeploy, what_cannot_be_read_is_written_anew) {
    disks::MemoryDisk disk(v1);
    disks::FaultLayer target(disk, [&](disks::FaultLayer::Op op, std::uint64_t offset, std::uint64_t length) -> Status {
        if (op == disks::FaultLayer::Op::Read && offset <= 9 * kMiB + 512 && offset + length > 9 * kMiB + 512)
            return make_error(disks::errors::kRead, "a bad sector");
        return {};
    });
    auto report = deploy(target, *first);
    ASSERT_TRUE(report) << report.error().describe();
    EXPECT_EQ(asked.size(), 1u);
    EXPECT_EQ(report->written_chunks, 1u);
}

TEST_F(Redeploy, whenever_it_is_cut_the_target_is_the_old_version_or_known_as_unfinished_and_goes_on) {
    bool done = false;
    for (int cut = 1; !done; ++cut) {
        ASSERT_LT(cut, 40) << "the deploy never ended";
        disks::MemoryDisk disk(v1);
        int changes = 0;
        disks::FaultLayer target(disk, [&](disks::FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
            if (op != disks::FaultLayer::Op::Read && ++changes >= cut)
                return make_error(disks::errors::kWrite, "the power went (made by the test)");
            return {};
        });
        done = deploy(target, *second).ok();
        EXPECT_TRUE(done || marked(disk) || disk.content() == v1 || disk.content() == v2) << cut;
        const bool half = marked(disk);
        auto other = disk;  // that gets the first version back
        auto report = deploy(disk, *second);
        ASSERT_TRUE(report) << cut << report.error().describe();
        EXPECT_TRUE(disk.content() == v2) << cut;
        EXPECT_LE(asked.size(), changed.size() + half) << cut << ": what the mark stood in place of, and nothing else";
        ASSERT_TRUE(deploy(other, *first));
        EXPECT_TRUE(other.content() == v1) << cut;
        EXPECT_LE(asked.size(), changed.size() + 2 + half) << cut;
    }
}

// Power goes in the middle of a write: some sectors have arrived, the first ones or the last ones. One alone is whole
// or is not there.
struct TornDisk final : disks::PassLayer {
    int left;
    bool first_ones;
    TornDisk(disks::BlockDevice& below, int whole, bool f) : PassLayer(below), left(whole), first_ones(f) {}
    Status write(std::uint64_t offset, ByteView data) override {
        if (left-- > 0) return below_.write(offset, data);
        const auto half = data.size() / 2 / 512 * 512;
        if (half && first_ones) TRY(below_.write(offset, data.first(half)));
        if (half && !first_ones) TRY(below_.write(offset + half, data.subspan(half)));
        return make_error(disks::errors::kWrite, "the power went (made by the test)");
    }
};

TEST_F(Redeploy, a_write_that_arrived_in_part_does_not_make_it_look_finished) {
    for (bool first_ones : {true, false}) {
        bool done = false;
        for (int whole = 0; !done; ++whole) {
            ASSERT_LT(whole, 40) << "the deploy never ended";
            disks::MemoryDisk disk(v1);
            TornDisk target(disk, whole, first_ones);
            done = deploy(target, *second).ok();
            EXPECT_TRUE(marked(disk) || disk.content() == (done ? v2 : v1)) << whole;
            ASSERT_TRUE(deploy(disk, *second));
            EXPECT_TRUE(disk.content() == v2) << whole;
        }
    }
}

TEST_F(Redeploy, what_goes_on_by_hand_is_marked_as_well) {
    disks::MemoryDisk disk(v1);
    int writes = 0;
    disks::FaultLayer target(disk, [&](disks::FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
        if (op == disks::FaultLayer::Op::Write && ++writes == 4) return make_error(disks::errors::kWrite, "cut");
        return {};
    });
    auto r = request(*second);
    r.resume = true;
    EXPECT_FALSE(deploy(target, r));
    EXPECT_TRUE(marked(disk));
}

TEST_F(Redeploy, the_operator_may_forbid_it_or_leave_the_sample_out) {
    disks::MemoryDisk disk(v1);
    PlainDisk target(disk);
    auto report = deploy(target, *second, Compare::Never);
    ASSERT_TRUE(report);
    EXPECT_TRUE(disk.content() == v2);
    EXPECT_EQ(report->written_chunks, report->data_chunks);
    EXPECT_LT(target.read_bytes, 100u);
    // So little is equal that no sample says so.
    disks::MemoryDisk little(v1.size());
    std::copy_n(at(v1, 5), 2 * kMiB, at(little.content(), 5));
    report = deploy(little, *first, Compare::Always);
    EXPECT_EQ(report->kept_chunks, 2u);
    EXPECT_EQ(report->sampled_chunks, 0u);
    EXPECT_TRUE(little.content() == v1);
}

TEST_F(Redeploy, a_cancelled_comparison_has_written_nothing) {
    disks::MemoryDisk disk(v1);
    std::atomic<bool> cancel{false};
    asked.clear();
    Counting source(*store, asked);
    auto r = request(*second);
    r.target = &disk;
    std::set<std::string> told;
    auto ended = deploy_disk(
        r, source,
        [&](const Progress& p) {
            told.insert(p.what);
            cancel = true;
        },
        &cancel);
    ASSERT_FALSE(ended);
    EXPECT_TRUE(ended.error().is(errors::kCancelled)) << ended.error().describe();
    EXPECT_EQ(told, std::set<std::string>{"comparing"});
    EXPECT_TRUE(disk.content() == v1);
}

TEST_F(Redeploy, the_sample_lies_evenly_over_the_data) {
    auto image = summarize(*first).value();
    auto part = select_part(image, 0, 0).value();
    ComparisonOptions options;
    options.data_chunks = 64;
    // Of every second data chunk: 16 equal ones are 8, wherever they are.
    for (std::uint64_t from : {0, 20, 56}) {
        disks::MemoryDisk disk(v1.size());
        std::copy_n(at(v1, from), 16 * kMiB, at(disk.content(), from));
        auto sample = sample_target(*first, part, disk, options).value();
        EXPECT_EQ(sample.places, 32u);
        EXPECT_EQ(sample.equal, 8u) << from;
        EXPECT_TRUE(sample.pays());
    }
    disks::MemoryDisk few(v1.size());
    std::copy_n(at(v1, 20), 6 * kMiB, at(few.content(), 20));
    EXPECT_FALSE(sample_target(*first, part, few, options).value().pays());
}

TEST(Sample, pays_from_an_eighth_on_and_never_where_nothing_is_equal) {
    EXPECT_FALSE((Sample{0, 0}).pays());
    EXPECT_FALSE((Sample{1, 0}).pays());
    EXPECT_TRUE((Sample{1, 1}).pays());
    EXPECT_TRUE((Sample{7, 1}).pays());
    EXPECT_FALSE((Sample{32, 3}).pays());
    EXPECT_TRUE((Sample{32, 4}).pays());
}

}  // namespace
}  // namespace slipway::imagestore
