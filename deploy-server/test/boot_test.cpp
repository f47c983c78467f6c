// SPDX-License-Identifier: GPL-3.0-or-later
// What TFTP clients get below boot/ and grub/, each at the address it came to; and nothing else.
#include "deploy-server/netboot/boot.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deploy-server/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::server {
namespace {

using testing::HasSubstr;

struct BootTest : testing::Test {
    TempDir dir = TempDir::create("boot").value();
    std::unique_ptr<Database> db = std::move(Database::open(dir / "slipway.sqlite").value());
    ManualClock clock;
    std::shared_ptr<SettingsInUse> settings = std::make_shared<SettingsInUse>();
    BootPlace place{*db,     clock,        dir / "boot",
                    {},      std::nullopt, std::make_shared<std::pair<std::uint16_t, std::uint16_t>>(8443, 8480),
                    settings};
    MacAddress mac = *MacAddress::parse("52:54:00:51:00:01");
    pxe::NetbootOptions options;

    BootTest() {
        for (const char* folder : {"ramdisk", "images", "loaders"})
            std::filesystem::create_directories(place.root / folder);
        place.loaders = {
            .own = place.root / "loaders", .made = place.root / "made", .ipxe = dir.path(), .root = dir.path()};
        DeviceRow row;
        row.name = "poseidon";
        row.macs = {mac.text()};
        EXPECT_TRUE(db->set_control(db->add_device(row).value().id, true, ""));
        join_netboot(options, place);
    }
    std::string get(const std::string& name, const char* ours = "10.99.0.1") {
        auto content = options.boot_file(name, {}, *Ipv4Address::parse(ours));
        return content ? std::string(as_text(content->read(0, content->size).value())) : content.error().name();
    }
    pxe::Decision decide(const char* address) { return options.decide(*MacAddress::parse(address), {}); }
    void change(const std::function<void(DeviceRow&)>& how) {
        auto row = *db->device("poseidon").value();
        how(row);
        ASSERT_TRUE(db->update_device(row));
    }
};

TEST_F(BootTest, grub_is_led_to_the_script_of_its_machine_by_every_name_it_asks_for) {
    EXPECT_THAT(get("grub/grub.cfg"), HasSubstr("for server in '10.99.0.1'; do"));
    EXPECT_THAT(get("grub/grub.cfg", "10.97.0.1"), HasSubstr("for server in '10.97.0.1'; do"));
    for (auto name : {"grub/52:54:00:51:00:01", "grub/grub.cfg-01-52-54-00-51-00-01"})
        EXPECT_THAT(get(name, "10.97.0.1"), HasSubstr("'slipway.server=https://10.97.0.1:8443'")) << name;
    EXPECT_THAT(get("script/525400510001", "10.97.0.1"), HasSubstr("set base http://10.97.0.1:8480/boot/"));
    EXPECT_EQ(get("grub/52:54:00:51:00:02"), "server.unknown-device");
    EXPECT_EQ(get("grub/x86_64-efi/command.lst"), "tftp.not-found");
}

TEST_F(BootTest, refusals_of_a_machine_that_asks_again_and_again_are_one_line_that_counts) {
    std::vector<std::string> lines;
    log::set_observer([&](log::Level, std::string_view, std::string_view text) {
        if (text.starts_with("refused a boot script")) lines.emplace_back(text);
    });
    clock.advance(std::chrono::hours(1));
    for (int i = 0; i < 30; ++i) EXPECT_EQ(get("script/525400510002"), "server.unknown-device");
    clock.advance(std::chrono::minutes(1));
    EXPECT_EQ(get("grub/52:54:00:51:00:02"), "server.unknown-device");
    log::set_observer({});
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_THAT(lines[1], HasSubstr("(29 such lines were left out before)"));
}

TEST_F(BootTest, each_fetch_makes_a_token_and_voids_the_last) {
    auto tokens = [&] {
        std::int64_t count = 0;
        EXPECT_TRUE(db->sqlite().query("SELECT count(*) FROM tokens", {}, [&](Row r) { count = r.number(0); }));
        return count;
    };
    EXPECT_NE(get("script/525400510001"), get("script/525400510001"));
    EXPECT_NE(get("script/525400510001"), get("grub/52:54:00:51:00:01"));
    EXPECT_EQ(tokens(), 1);
    change([](auto& row) { row.pxe_action = "local-disk"; });
    EXPECT_EQ(get("script/525400510001").find("token"), std::string::npos);
    EXPECT_EQ(tokens(), 1);
}

TEST_F(BootTest, only_plain_files_below_the_boot_root_go_out_by_tftp) {
    ASSERT_TRUE(write_file_atomic(dir / "secret", as_bytes("secret")));
    for (const char* file : {"kernel", "cmdline", "ramdisk/default", "images/dos.img", "loaders/memdisk"})
        ASSERT_TRUE(write_file_atomic(place.root / file, as_bytes(file)));
    std::filesystem::create_symlink(dir / "secret", place.root / "images/link");
    std::filesystem::create_directory_symlink(dir.path(), place.root / "images/out");
    for (std::string file : {"kernel", "ramdisk/default", "images/dos.img", "loaders/memdisk"})
        EXPECT_EQ(get(file), file);
    for (std::string name : {"", "/", "cmdline", "../secret", "images/../../secret", "images/..", "/secret",
                             "images//../cmdline", "images/link", "images/out/secret", "images\\..\\cmdline",
                             "images/%2e%2e/cmdline", "kernel/../cmdline", "loaders/../cmdline",
                             "loaders/%2e%2e%2fcmdline", "made/x", "grub/../cmdline", "script/../cmdline", "images/"})
        EXPECT_THAT(get(name), testing::AnyOf("tftp.not-found", "tftp.access")) << name;
    for (std::string name :
         {std::string("images/dos.img\0", 15), std::string("kernel\0x", 8), std::string("images/\n", 8)})
        EXPECT_THAT(get(name), testing::AnyOf("tftp.not-found", "tftp.access"));
}

TEST_F(BootTest, the_answer_follows_the_record) {
    EXPECT_EQ(decide("52:54:00:51:00:01").action, pxe::Action::Agent);
    EXPECT_EQ(decide("52:54:00:51:00:01").secure_boot, pxe::SecureBoot::Unknown);
    EXPECT_EQ(decide("52:54:00:51:00:02").action, pxe::Action::Ignore);
    change([](auto& row) {
        row.pxe_action = "image";
        row.pxe_image = "dos.img";
    });
    auto gone = decide("52:54:00:51:00:01");
    EXPECT_EQ(gone.action, pxe::Action::Ignore);
    EXPECT_THAT(gone.why, HasSubstr("server.no-boot-image"));
    ASSERT_TRUE(write_file_atomic(place.root / "images/dos.img", Bytes(1440u << 10)));
    EXPECT_EQ(decide("52:54:00:51:00:01").image, pxe::ImageKind::Floppy);
    EXPECT_THAT(get("script/525400510001"), HasSubstr("memdisk floppy raw"));
    EXPECT_EQ(get("grub/52:54:00:51:00:01"), "pxe.iso-under-secure-boot");
    change([](auto& row) {
        row.pxe_action = "local-disk";
        row.local_boot = "chainload";
    });
    EXPECT_THAT(get("script/525400510001"), HasSubstr("chain http://10.99.0.1:8480/boot/loaders/localx64.efi"));
    EXPECT_THAT(get("grub/52:54:00:51:00:01"), HasSubstr("/EFI/BOOT/BOOTX64.EFI"));
}

}  // namespace
}  // namespace slipway::server
