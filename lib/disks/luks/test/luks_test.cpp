// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/luks/test/luks_writer.hpp"
#include "lib/disks/luks/unlock.hpp"
#include "lib/disks/test/checks.hpp"
#include "lib/disks/volumes/volume_set.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

struct Kind {
    const char* name;
    const char* type;
    unsigned key_bits, sector;
    std::uint64_t data;
};

// A volume made by cryptsetup, whose content we encrypt with the volume key we gave it.
struct Encrypted {
    TempDir dir = TempDir::create("luks").value();
    std::filesystem::path image = dir / "volume";
    Bytes content;
    UsedMap plain_map;

    explicit Encrypted(const Kind& kind) {
        constexpr std::uint64_t kPlain = 40 * kMiB;
        auto fs = dir / "fs";
        make_file(fs, kPlain);
        run({"mke2fs", "-q", "-F", "-t", "ext4", "-d", make_tree(dir).string(), fs.string()});
        auto disk = FileDisk::open(fs, OpenMode::ReadOnly).value();
        content.resize(kPlain);
        EXPECT_TRUE(disk->read(0, content).ok());
        plain_map = map_used(*disk).value();
        make_luks(dir, image, content, {kind.type, kind.key_bits, kind.sector, kind.data});
    }
    VolumeSet assemble(FileDisk& disk, LuksOpener* keys) {
        BlockDevice* volumes[] = {&disk};
        MapOptions options;
        options.luks = keys;
        return VolumeSet::assemble(volumes, options).value();
    }
};

class Luks : public testing::TestWithParam<Kind> {
protected:
    void SetUp() override {
        if (!run_command({"cryptsetup", "--version"}).ok()) GTEST_SKIP() << "cryptsetup is not installed";
    }
};

}  // namespace

TEST_P(Luks, with_a_key_counts_by_the_file_system_inside) {
    Encrypted made(GetParam());
    auto disk = FileDisk::open(made.image, OpenMode::ReadOnly).value();
    LuksKeys keys({"wrong", "open sesame"});
    auto set = made.assemble(*disk, &keys);
    const auto& map = set.maps()[0];
    EXPECT_EQ(map.why_all, "");
    EXPECT_EQ(map.filesystem, "luks");
    EXPECT_EQ(map.uuid, "11a97d0f-f7b6-47e4-b517-e0ec87dbe401");
    ASSERT_EQ(set.inner().size(), 1u);
    const auto& inner = set.inner()[0];
    EXPECT_EQ(inner.map.filesystem, "ext4");
    EXPECT_EQ(inner.map.used.total(), made.plain_map.used.total());
    ASSERT_EQ(inner.device->size(), made.content.size());
    Bytes back(made.content.size() - 1000);
    ASSERT_TRUE(inner.device->read(777, back).ok());
    EXPECT_TRUE(std::equal(back.begin(), back.end(), made.content.begin() + 777));
    // What was not kept is gone; the volume opens all the same, also by cryptsetup, and its files are whole.
    scribble_outside(made.image, map);
    run({"cryptsetup", "open", "--test-passphrase", "--key-file", "-", made.image.string()}, "open sesame");
    auto again = made.assemble(*disk, &keys);
    ASSERT_EQ(again.inner().size(), 1u);
    Bytes after(made.content.size());
    ASSERT_TRUE(again.inner()[0].device->read(0, after).ok());
    for (const auto& e : made.plain_map.used.extents())
        ASSERT_TRUE(std::equal(after.begin() + static_cast<long>(e.offset), after.begin() + static_cast<long>(e.end()),
                               made.content.begin() + static_cast<long>(e.offset)));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Luks,
                         testing::Values(Kind{"luks1", "luks1", 512, 512, 2 * kMiB},
                                         Kind{"luks1_aes128", "luks1", 256, 512, 2 * kMiB},
                                         Kind{"luks2", "luks2", 512, 512, 16 * kMiB},
                                         Kind{"luks2_sectors_of_4096", "luks2", 512, 4096, 16 * kMiB}),
                         [](const auto& i) { return std::string(i.param.name); });

TEST_F(Luks, without_its_key_every_sector_counts) {
    Encrypted made({"luks2", "luks2", 512, 512, 16 * kMiB});
    auto disk = FileDisk::open(made.image, OpenMode::ReadOnly).value();
    auto set = made.assemble(*disk, nullptr);
    EXPECT_EQ(set.maps()[0].filesystem, "luks");
    EXPECT_EQ(set.maps()[0].label, "vault");
    EXPECT_EQ(set.maps()[0].used.total(), disk->size());
    EXPECT_NE(set.maps()[0].why_all.find("no key was given"), std::string::npos);
    LuksKeys wrong({"open says me"});
    auto refused = made.assemble(*disk, &wrong);
    EXPECT_EQ(refused.maps()[0].used.total(), disk->size());
    EXPECT_NE(refused.maps()[0].why_all.find("none of the 1 keys"), std::string::npos) << refused.maps()[0].why_all;
}

TEST_F(Luks, what_is_not_known_here_stays_opaque) {
    auto dir = TempDir::create("luks").value();
    auto image = dir / "volume";
    make_file(image, 20 * kMiB);
    run({"cryptsetup", "luksFormat", "-q", "--type", "luks2", "--cipher", "aes-cbc-essiv:sha256", "--key-size", "256",
         "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", image.string(), "-"},
        "open sesame");
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    LuksKeys keys({"open sesame"});
    auto opened = keys.open(*disk, {});
    ASSERT_FALSE(opened.ok());
    EXPECT_NE(opened.error().message().find("aes-cbc-essiv"), std::string::npos) << opened.error().message();
    // Both binary headers damaged.
    ASSERT_TRUE(disk->write(5000, Bytes(20000, std::byte{0x5a})).ok());
    auto damaged = keys.open(*disk, {});
    ASSERT_FALSE(damaged.ok());
    EXPECT_NE(damaged.error().message().find("damaged"), std::string::npos) << damaged.error().message();
}

TEST(LuksHeader, a_real_luks1_volume_is_recognised) {
    std::filesystem::path file = SLIPWAY_SOURCE_DIR "/../shared/data/fs/dfvfs-luks1.raw.xz";
    if (const char* given = std::getenv("SLIPWAY_SHARED_DATA"))
        file = std::filesystem::path(given) / "fs/dfvfs-luks1.raw.xz";
    if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not here";
    auto bytes = to_bytes(run({"xz", "-dc", file.string()}));
    auto header = parse_luks_header(bytes);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->version, 1u);
    EXPECT_EQ(header->uuid.size(), 36u);
    EXPECT_FALSE(parse_luks_header(ByteView(bytes).first(6)));
}
