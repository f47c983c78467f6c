// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <algorithm>

#include "lib/disks/test/stack_writers.hpp"
#include "lib/disks/volumes/md.hpp"
#include "lib/disks/volumes/volume_set.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// What a stripe's members hold, one entry a member: the number of a data chunk of the stripe; P; Q. By the pictures of
// the md manual, not by arithmetic.
enum : std::size_t { P = 1000, Q = 1001 };
using Rows = std::vector<std::vector<std::size_t>>;

std::uint8_t times_two(std::uint8_t x) { return static_cast<std::uint8_t>((x << 1) ^ (x & 0x80 ? 0x1d : 0)); }

struct Array {
    MdShape shape;
    Rows rows;  // repeat for ever
    std::vector<std::unique_ptr<MemoryDisk>> members;

    Array(MdShape s, Rows r, std::uint64_t component) : shape(s), rows(std::move(r)) {
        shape.component = component;
        shape.disks = static_cast<unsigned>(rows[0].size());
        for (unsigned i = 0; i < shape.disks; ++i) {
            members.push_back(std::make_unique<MemoryDisk>(shape.data + component));
            make_md_super(*members.back(), shape, i);
        }
    }
    std::size_t data_of(const std::vector<std::size_t>& row) const {
        std::size_t most = 0;
        for (auto n : row)
            if (n < P) most = std::max(most, n + 1);
        return most;
    }
    std::uint64_t size() const {
        std::uint64_t chunks = 0;
        for (std::uint64_t s = 0; s < shape.component / shape.chunk; ++s) chunks += data_of(rows[s % rows.size()]);
        return chunks * shape.chunk;
    }
    // chunk n of the array -> (stripe, place in it)
    void write(ByteView content) {
        std::uint64_t at = 0;
        for (std::uint64_t s = 0; s < shape.component / shape.chunk; ++s) {
            const auto& row = rows[s % rows.size()];
            auto count = data_of(row);
            Bytes p(shape.chunk), q(shape.chunk);
            for (std::size_t n = count; n-- > 0;) {
                auto chunk = content.subspan(at + n * shape.chunk, shape.chunk);
                for (std::size_t i = 0; i < chunk.size(); ++i) {
                    p[i] ^= chunk[i];
                    q[i] = std::byte{times_two(std::to_integer<std::uint8_t>(q[i]))} ^ chunk[i];
                }
            }
            for (std::size_t m = 0; m < row.size(); ++m)
                put(*members[m], shape.data + s * shape.chunk,
                    row[m] == P   ? ByteView(p)
                    : row[m] == Q ? ByteView(q)
                                  : content.subspan(at + row[m] * shape.chunk, shape.chunk));
            at += count * shape.chunk;
        }
    }
    Bytes read() {
        Bytes out(size());
        std::uint64_t at = 0;
        for (std::uint64_t s = 0; s < shape.component / shape.chunk; ++s) {
            const auto& row = rows[s % rows.size()];
            for (std::size_t m = 0; m < row.size(); ++m) {
                if (row[m] >= P) continue;
                auto chunk = get(*members[m], shape.data + s * shape.chunk, shape.chunk);
                std::copy(chunk.begin(), chunk.end(), out.begin() + static_cast<long>(at + row[m] * shape.chunk));
            }
            at += data_of(row) * shape.chunk;
        }
        return out;
    }
    VolumeSet assemble() {
        std::vector<BlockDevice*> volumes;
        for (auto& m : members) volumes.push_back(m.get());
        return VolumeSet::assemble(volumes).value();
    }
    // As after a deploy: what is not used reads as zeros.
    void drop_unused(const VolumeSet& set) {
        for (std::size_t m = 0; m < members.size(); ++m) {
            std::uint64_t at = 0;
            for (const auto& e : set.maps()[m].used.extents()) {
                ASSERT_TRUE(members[m]->discard(at, e.offset - at).ok());
                at = e.end();
            }
            ASSERT_TRUE(members[m]->discard(at, members[m]->size() - at).ok());
        }
    }
};

struct Kind {
    const char* name;
    int level;
    std::uint32_t layout;
    Rows rows;
};

// Documentation/admin-guide/md.rst, mdadm(8) --layout.
const std::vector<Kind>& kinds() {
    static const std::vector<Kind> all{
        {"raid0", 0, 0, {{0, 1, 2}}},
        {"raid1", 1, 0, {{0, 0}}},
        {"raid4", 4, 0, {{0, 1, P}}},
        {"raid5_left_asymmetric", 5, 0, {{0, 1, P}, {0, P, 1}, {P, 0, 1}}},
        {"raid5_right_asymmetric", 5, 1, {{P, 0, 1}, {0, P, 1}, {0, 1, P}}},
        {"raid5_left_symmetric", 5, 2, {{0, 1, 2, P}, {1, 2, P, 0}, {2, P, 0, 1}, {P, 0, 1, 2}}},
        {"raid5_right_symmetric", 5, 3, {{P, 0, 1}, {1, P, 0}, {0, 1, P}}},
        {"raid5_parity_first", 5, 4, {{P, 0, 1}}},
        {"raid5_parity_last", 5, 5, {{0, 1, P}}},
        {"raid6_left_asymmetric", 6, 0, {{Q, 0, 1, P}, {0, 1, P, Q}, {0, P, Q, 1}, {P, Q, 0, 1}}},
        {"raid6_left_symmetric", 6, 2, {{Q, 0, 1, P}, {0, 1, P, Q}, {1, P, Q, 0}, {P, Q, 0, 1}}},
        {"raid10_near_two_of_four", 10, 0x102, {{0, 0, 1, 1}}},
        {"raid10_near_two_of_three", 10, 0x102, {{0, 0, 1}}},
    };
    return all;
}

class MdLevels : public testing::TestWithParam<std::size_t> {};

}  // namespace

TEST_P(MdLevels, counts_by_the_file_system_inside_and_parity_stays_right) {
    const auto& kind = kinds()[GetParam()];
    MdShape shape;
    shape.level = kind.level;
    shape.layout = kind.layout;
    // An array of at least 24 MiB.
    auto row = kind.rows[0];
    std::erase_if(row, [](std::size_t n) { return n >= P; });
    auto component = 24 * kMiB / (*std::max_element(row.begin(), row.end()) + 1);
    if (kind.level == 10) component = 18 * kMiB;
    Array array(shape, kind.rows, component);
    // Three members of raid10 in two copies: a chunk begins in one row and ends in the next.
    bool uneven = kind.level == 10 && kind.rows[0].size() == 3;
    auto dir = TempDir::create("md").value();
    auto size = uneven ? 27 * kMiB : array.size();
    auto image = dir / "fs";
    make_file(image, size);
    run({"mke2fs", "-q", "-F", "-t", "ext4", "-d", make_tree(dir).string(), image.string()});
    auto content = get(*FileDisk::open(image, OpenMode::ReadOnly).value(), 0, size);
    // What free blocks hold must not be kept, and its parity neither.
    auto map = map_used(*FileDisk::open(image, OpenMode::ReadOnly).value()).value();
    for (std::uint64_t at = 0; at < size; at += 4096)
        if (!map.used.covers(at)) std::fill_n(content.begin() + static_cast<long>(at), 4096, std::byte{0x77});
    auto write_uneven = [&] {
        for (std::uint64_t c = 0; c < size / shape.chunk; ++c)
            for (std::uint64_t copy = 0; copy < 2; ++copy)
                put(*array.members[(c * 2 + copy) % 3], shape.data + (c * 2 + copy) / 3 * shape.chunk,
                    ByteView(content).subspan(c * shape.chunk, shape.chunk));
    };
    uneven ? write_uneven() : array.write(content);

    auto set = array.assemble();
    ASSERT_EQ(set.inner().size(), 1u) << set.maps()[0].why_all;
    const auto& inner = set.inner()[0];
    EXPECT_EQ(inner.name, "md127");
    EXPECT_EQ(inner.kind, "raid" + std::to_string(kind.level));
    EXPECT_EQ(inner.map.filesystem, "ext4");
    EXPECT_EQ(get(*inner.device, 0, size), content);
    EXPECT_EQ(set.maps()[0].inside, "md127 (ext4)");
    std::uint64_t used = 0;
    for (const auto& m : set.maps()) used += m.used.total();
    EXPECT_LT(used, array.members.size() * component);

    array.drop_unused(set);
    auto again = array.assemble();
    ASSERT_EQ(again.inner().size(), 1u);
    auto back = get(*again.inner()[0].device, 0, size);
    for (const auto& e : map.used.extents())
        ASSERT_TRUE(std::equal(back.begin() + static_cast<long>(e.offset), back.begin() + static_cast<long>(e.end()),
                               content.begin() + static_cast<long>(e.offset)));
    if (uneven) return;
    // The parity of what is now there, made anew, is what is on the members.
    std::vector<Bytes> before;
    for (auto& m : array.members) before.push_back(m->content());
    array.write(back);
    for (std::size_t m = 0; m < before.size(); ++m) EXPECT_EQ(before[m], array.members[m]->content()) << m;
}

INSTANTIATE_TEST_SUITE_P(All, MdLevels, testing::Range<std::size_t>(0, kinds().size()),
                         [](const auto& i) { return std::string(kinds()[i.param].name); });

TEST(Md, mdadm_reads_the_tests_own_superblocks) {
    if (!run_command({"mdadm", "--version"}).ok()) GTEST_SKIP() << "mdadm is not installed";
    auto dir = TempDir::create("md").value();
    auto disk = FileDisk::create(dir / "member", 16 * kMiB).value();
    MdShape shape{.level = 5, .disks = 3, .layout = 2, .component = 15 * kMiB};
    make_md_super(*disk, shape, 1);
    auto said = run({"mdadm", "--examine", (dir / "member").string()});
    for (auto line : {"Version : 1.2", "- correct", "Raid Level : raid5", "Active device 1", "State : clean",
                      "Chunk Size : 64K", "left-symmetric"})
        EXPECT_NE(said.find(line), std::string::npos) << line << "\n" << said;
}

TEST(Md, what_is_not_clean_is_taken_whole_and_says_why) {
    struct Case {
        MdShape shape;
        const char* says;
    };
    for (const auto& c : {Case{{.resync = 0}, "not stopped cleanly"}, Case{{.features = 4}, "reshaped"},
                          Case{{.features = 2}, "rebuilt"}, Case{{.features = 512}, "journal"},
                          Case{{.features = 8}, "bad blocks"}, Case{{.level = 7}, "level"}}) {
        Array array(c.shape, {{0, 0}}, 4 * kMiB);
        auto set = array.assemble();
        for (const auto& map : set.maps()) {
            EXPECT_NE(map.why_all.find(c.says), std::string::npos) << map.why_all;
            EXPECT_EQ(map.used.total(), 5 * kMiB);
        }
        EXPECT_TRUE(set.inner().empty());
    }
}

TEST(Md, a_missing_member_a_stale_one_and_twins_make_the_others_count_whole) {
    Array array({}, {{0, 0}}, 4 * kMiB);
    BlockDevice* one[] = {array.members[0].get()};
    EXPECT_NE(map_volumes(one).value()[0].why_all.find("degraded"), std::string::npos);
    auto older = array.shape;
    older.events = 16;
    make_md_super(*array.members[1], older, 1);
    auto stale = array.assemble();
    for (const auto& map : stale.maps()) EXPECT_NE(map.why_all.find("events"), std::string::npos);
    make_md_super(*array.members[1], array.shape, 0);
    auto twins = array.assemble();
    for (const auto& map : twins.maps()) EXPECT_NE(map.why_all.find("one place"), std::string::npos);
}

TEST(Md, a_member_with_another_file_systems_signature_is_taken_whole) {
    Array array({}, {{0, 0}}, 4 * kMiB);
    ByteWriter xfs;
    xfs.text("XFSB");
    put(*array.members[0], 0, xfs.view());
    auto set = array.assemble();
    EXPECT_NE(set.maps()[0].why_all.find("both mdraid and xfs"), std::string::npos) << set.maps()[0].why_all;
}

TEST(Md, lvm_lies_on_an_array_and_partitions_in_a_volume) {
    Array array({}, {{0, 0}}, 64 * kMiB);
    auto set = array.assemble();
    ASSERT_EQ(set.inner().size(), 1u);
    MemoryDisk content(64 * kMiB);
    make_physical(content, kPv0, group_text({{kPv0, 15}}, linear_text("disk", 8, "pv0", 1)));
    constexpr std::uint64_t kVolume = 5 * kMiB;
    ByteWriter table;  // one partition of 16 MiB at 1 MiB
    table.pad_to(446).u8(0).zeros(3).u8(0x82).zeros(3).le32(2048).le32(32768).pad_to(510).le16(0xaa55);
    put(content, kVolume, table.view());
    ByteWriter swap;
    swap.pad_to(1024).le32(1).le32(4095).pad_to(4086).text("SWAPSPACE2");
    put(content, kVolume + kMiB, swap.view());
    array.write(content.content());
    set = array.assemble();
    std::vector<std::string> names;
    for (const auto& inner : set.inner()) names.push_back(inner.name);
    EXPECT_EQ(names, (std::vector<std::string>{"md127", "vg0/disk", "vg0/disk1"}));
    EXPECT_EQ(set.maps()[1].inside, "md127 (lvm2, vg0: disk (mbr, vg0/disk1 (swap)))");
    const auto& used = set.maps()[1].used;
    EXPECT_TRUE(used.covers(kMiB + kVolume));
    EXPECT_TRUE(used.covers(kMiB + kVolume + kMiB));
    EXPECT_FALSE(used.covers(kMiB + kVolume + 2 * kMiB)) << "the swap area's content";
    EXPECT_TRUE(used.covers(kMiB + kVolume + 20 * kMiB)) << "what no partition claims";
    EXPECT_FALSE(used.covers(kMiB + kVolume + 40 * kMiB)) << "free extents";
}

TEST(Md, a_real_superblock_0_90_is_read) {
    std::filesystem::path file = SLIPWAY_SOURCE_DIR "/../shared/data/fs/mdraid.img.xz";
    if (const char* given = std::getenv("SLIPWAY_SHARED_DATA"))
        file = std::filesystem::path(given) / "fs/mdraid.img.xz";
    if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not here";
    MemoryDisk disk(to_bytes(run({"xz", "-dc", file.string()})));
    auto super = read_md_super(disk).value();
    ASSERT_TRUE(super);
    EXPECT_EQ(super->version, "0.90");
    EXPECT_EQ(super->set.text(), "37c76b91-011a-05c5-d30c-1fd4c5c3dbbc");
    EXPECT_EQ(super->level, 1);
    EXPECT_EQ(super->component, 10176u * 1024);
    EXPECT_EQ(super->role, 0u);
    EXPECT_EQ(super->active, super->disks);
    EXPECT_EQ(super->trouble, "");
    BlockDevice* one[] = {&disk};
    EXPECT_NE(map_volumes(one).value()[0].why_all.find("md0: it is degraded"), std::string::npos);
    // The other half of the mirror: the same bytes, its place and checksum changed.
    MemoryDisk other(disk.content());
    Bytes word(4);
    auto at = super->super + 995 * 4;
    word[0] = std::byte{1};
    put(other, at, word);
    ByteReader checksum(ByteView(disk.content()).subspan(super->super + 38 * 4));
    ByteWriter next;
    next.le32(checksum.le32() + 1);
    put(other, super->super + 38 * 4, next.view());
    BlockDevice* both[] = {&disk, &other};
    auto set = VolumeSet::assemble(both).value();
    ASSERT_EQ(set.inner().size(), 1u) << set.maps()[0].why_all;
    EXPECT_EQ(set.inner()[0].name, "md0");
}

TEST(Md, a_superblock_says_how_many_were_in_the_array) {
    MemoryDisk disk(8u << 20);
    make_md_super(disk, {.disks = 3}, 1);
    EXPECT_EQ(read_md_super(disk).value()->active, 3u);
}
