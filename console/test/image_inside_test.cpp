// SPDX-License-Identifier: GPL-3.0-or-later
// What lies inside LVM and encrypted volumes of an image: `image show` and `image mount`, by the real program and the
// real kernel.
#include <fcntl.h>
#include <unistd.h>
#include <algorithm>

#include <boost/json.hpp>

#include "console/image/mount_points.hpp"
#include "console/test/program.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/luks/test/luks_writer.hpp"
#include "lib/disks/test/stack_writers.hpp"

using namespace slipway;
using namespace slipway::console;
namespace fs = std::filesystem;
namespace json = boost::json;
namespace writers = slipway::disks::test;

namespace {

constexpr std::uint64_t kMiB = 1u << 20, kExtent = 4 * kMiB;

bool fuse_works() { return open_fd("/dev/fuse", O_RDWR).ok() && ::geteuid() == 0; }

// Two disks: one with a physical volume of vg0 on its partition, one that is the other physical volume. vg0/root (ext4)
// lies on both, vg0/raw-data on the second.
class Inside : public ::testing::Test {
protected:
    void SetUp() override {
        root = file_system("root", 8 * kExtent);
        raw = writers::pattern(2 * kExtent, 7);
        make_group();
    }
    void TearDown() override {
        auto mounts = console::read_mounts().value();
        for (const auto& mount : mounts)
            if (mount.type == kMountType && mount.path.starts_with(dir.path().string()))
                (void)unmount_image(mount.path).ok();
    }

    Bytes file_system(const std::string& name, std::uint64_t size) {
        auto image = dir / (name + ".fs");
        writers::make_file(image, size);
        auto tree = writers::make_tree(dir).string();
        writers::run({"mke2fs", "-q", "-F", "-t", "ext4", "-L", name, "-d", tree, image.string()});
        return read_file(image, size).value();
    }
    void make_group() {
        auto part = [](unsigned n, unsigned start, const char* pv, unsigned from) {
            return writers::segment_text(
                n, start, 4, fmt::format("type = \"striped\"\nstripe_count = 1\nstripes = [\"{}\", {}]", pv, from));
        };
        auto text = writers::group_text({{writers::kPv0, 17}, {writers::kPv1, 17}},
                                        writers::logical_text("root", part(1, 0, "pv0", 9) + part(2, 4, "pv1", 2)) +
                                            writers::linear_text("raw-data", 2, "pv1", 10));
        writers::make_file(dir / "sda", 80 * kMiB);
        writers::make_file(dir / "sdb", 72 * kMiB);
        writers::run({"sfdisk", "-q", path("sda")}, "label: dos\nstart=2048, size=72M, type=8e\n");
        auto disk = disks::FileDisk::open(dir / "sda", disks::OpenMode::ReadWrite).value();
        auto other = disks::FileDisk::open(dir / "sdb", disks::OpenMode::ReadWrite).value();
        disks::OffsetLayer pv(*disk, kMiB, 72 * kMiB);
        writers::make_physical(pv, writers::kPv0, text);
        writers::make_physical(*other, writers::kPv1, text);
        writers::put(pv, kMiB + 9 * kExtent, ByteView(root).first(4 * kExtent));
        writers::put(*other, kMiB + 2 * kExtent, ByteView(root).subspan(4 * kExtent));
        writers::put(*other, kMiB + 10 * kExtent, raw);
    }

    std::string path(const std::string& name) const { return (dir / name).string(); }
    void capture(const std::vector<std::string>& disks) {
        std::vector<std::string> words{"image", "capture", "--store", path("s"), "--name", "web"};
        for (const auto& disk : disks) words.insert(words.end(), {"--source", path(disk)});
        auto r = slipway_run(words);
        ASSERT_EQ(r.code, kExitDone) << r.error;
    }
    json::object told(std::vector<std::string> words, int code = kExitDone) {
        words.insert(words.end(), {"--store", path("s"), "--json"});
        auto r = slipway_run(words);
        EXPECT_EQ(r.code, code) << r.out << r.error;
        boost::system::error_code failed;
        auto value = json::parse(r.out, failed);
        return value.is_object() ? value.as_object() : json::object();
    }
    json::object mount(std::vector<std::string> more = {}, int code = kExitDone) {
        more.insert(more.begin(), {"image", "mount", "web", "--at", path("m")});
        return told(more, code);
    }
    void unmount() { EXPECT_EQ(slipway_run({"image", "unmount", path("m")}).code, kExitDone); }
    Bytes content(const std::string& name) const { return read_file(dir / "m" / name, 128 * kMiB).value_or(Bytes()); }
    // One of a list of objects, by its name.
    static json::object named(const json::value& list, std::string_view name) {
        for (const auto& item : list.as_array())
            if (item.at("name").as_string() == name) return item.as_object();
        ADD_FAILURE() << "no " << name << " in " << list;
        return {};
    }

    TempDir dir = TempDir::create("inside").value();
    Bytes root, raw;
    const std::string luks = std::string("luks-") + writers::kLuksUuid;
};

}  // namespace

TEST_F(Inside, show_lists_logical_volumes_with_the_disks_they_lie_on) {
    capture({"sda", "sdb"});
    auto shown = told({"image", "show", "web"});
    ASSERT_EQ(shown.at("inside").as_array().size(), 2u) << json::serialize(shown);
    auto volume = named(shown.at("inside"), "vg0/root");
    EXPECT_EQ(volume.at("kind").as_string(), "lvm");
    EXPECT_EQ(volume.at("on"), (json::array{"sda1", "sdb"}));
    EXPECT_EQ(volume.at("filesystem").as_string(), "ext4");
    EXPECT_EQ(volume.at("label").as_string(), "root");
    EXPECT_EQ(volume.at("length").to_number<std::uint64_t>(), root.size());
    EXPECT_LT(volume.at("used").to_number<std::uint64_t>(), root.size());
    EXPECT_EQ(named(shown.at("inside"), "vg0/raw-data").at("on"), json::array{"sdb"});
    auto text = slipway_run({"image", "show", "web", "--store", path("s")}).out;
    EXPECT_NE(text.find("sda1, sdb"), std::string::npos) << text;
}

TEST_F(Inside, a_logical_volume_over_two_disks_is_a_file_and_a_tree_of_files) {
    if (!fuse_works()) GTEST_SKIP() << "needs root and /dev/fuse";
    capture({"sda", "sdb"});
    auto shown = mount();
    EXPECT_TRUE(content("volumes/vg0-root.raw") == root);
    EXPECT_TRUE(content("volumes/vg0-raw--data.raw") == raw);
    EXPECT_EQ(content("volumes/0p1.raw").size(), 72 * kMiB);
    EXPECT_EQ(named(shown.at("volumes"), "vg0/root").at("on"), (json::array{"0p1", "1"}));
    EXPECT_FALSE(open_fd(path("m/volumes/vg0-root.raw"), O_RDWR).ok());
    unmount();
    if (!fs::exists("/dev/loop-control")) GTEST_SKIP() << "needs loop devices for --files";
    mount({"--files"});
    writers::run({"diff", "-r", path("tree"), path("m/files/vg0-root"), "-x", "lost+found"});
    EXPECT_FALSE(fs::exists(path("m/files/vg0-raw--data")));
    unmount();
}

TEST_F(Inside, an_encrypted_volume_is_shown_decrypted_only_with_its_key) {
    if (!fuse_works()) GTEST_SKIP() << "needs root and /dev/fuse";
    if (!run_command({"cryptsetup", "--version"}).ok()) GTEST_SKIP() << "cryptsetup is not installed";
    auto secret = file_system("secret", 24 * kMiB);
    writers::make_luks(dir, dir / "sdc", secret);
    ASSERT_TRUE(write_file_atomic(dir / "key", as_bytes(std::string(writers::kLuksPassphrase) + "\n")).ok());
    capture({"sdc"});
    EXPECT_TRUE(told({"image", "show", "web"}).at("inside").as_array().empty());
    auto shown = told({"image", "show", "web", "--luks-key", path("key")});
    EXPECT_EQ(named(shown.at("inside"), luks).at("on"), json::array{"sdc"});

    mount();
    EXPECT_EQ(content("volumes/0.raw").size(), 40 * kMiB);
    EXPECT_FALSE(fs::exists(path("m/volumes/" + luks + ".raw")));
    unmount();
    mount({"--luks-key", path("key")});
    EXPECT_TRUE(content("volumes/" + luks + ".raw") == secret);
    unmount();
    ASSERT_TRUE(write_file_atomic(dir / "wrong", as_bytes("open says me")).ok());
    auto refused = mount({"--luks-key", path("wrong")}, kExitWarnings);
    EXPECT_NE(json::serialize(refused.at("warnings")).find("none of the 1 keys"), std::string::npos)
        << json::serialize(refused);
    unmount();
    if (!fs::exists("/dev/loop-control")) GTEST_SKIP() << "needs loop devices for --files";
    mount({"--luks-key", path("key"), "--files"});
    writers::run({"diff", "-r", path("tree"), path("m/files/" + luks), "-x", "lost+found"});
    unmount();
}

TEST_F(Inside, a_group_that_lacks_a_disk_is_named_and_the_rest_is_served) {
    if (!fuse_works()) GTEST_SKIP() << "needs root and /dev/fuse";
    capture({"sda"});
    auto shown = mount({}, kExitWarnings);
    EXPECT_NE(json::serialize(shown.at("warnings")).find("not looked into: "), std::string::npos)
        << json::serialize(shown);
    EXPECT_FALSE(fs::exists(path("m/volumes/vg0-root.raw")));
    EXPECT_EQ(content("volumes/0p1.raw").size(), 72 * kMiB);
    unmount();
}
