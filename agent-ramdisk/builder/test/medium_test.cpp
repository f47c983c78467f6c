// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/medium.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent-ramdisk/builder/errors.hpp"
#include "agent-ramdisk/builder/test/phony_kernel.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::builder;
using namespace slipway::builder::phony;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

static bool missing(const char* program) {
    return !run_checked({"sh", "-c", std::string("command -v ") + program}).ok();
}

TEST(Medium, without_a_server_has_one_entry_and_no_secret) {
    MediumRequest r;
    r.arguments = "console=ttyS0 slipway.run=capture,web,sda,usb:BACKUP";
    r.made_unix = 1700000000;
    auto text = grub_configuration(r).value();
    EXPECT_THAT(text,
                HasSubstr("slipway.time-at-least=1700000000 slipway.local console=ttyS0 slipway.run=capture,web"));
    EXPECT_THAT(text, Not(HasSubstr("slipway.server")));
    EXPECT_THAT(text, Not(HasSubstr("slipway.token")));
}

TEST(Medium, of_a_server_boots_its_agent_first) {
    MediumRequest r;
    r.server = "https://10.99.0.1:8443";
    r.bulk = "http://10.99.0.1:8480";
    r.token = "c0ffee";
    auto text = grub_configuration(r).value();
    EXPECT_THAT(text, HasSubstr("set default=0"));
    EXPECT_LT(
        text.find("slipway.server=https://10.99.0.1:8443 slipway.bulk=http://10.99.0.1:8480 slipway.token=c0ffee"),
        text.find("without a server"));
}

TEST(Medium, values_that_would_end_their_line_are_refused) {
    for (const char* odd : {"https://x\" }", "a;b", "a\nb", "$x", "a'b"}) {
        MediumRequest r;
        r.arguments = odd;
        EXPECT_TRUE(grub_configuration(r).error().is(errors::kMedium)) << odd;
        EXPECT_TRUE(floppy_script(std::string("http://") + odd).error().is(errors::kMedium)) << odd;
    }
    EXPECT_FALSE(floppy_script("https://10.99.0.1:8443").ok());
}

TEST(Medium, is_a_cd_for_bios_and_uefi_and_a_usb_disk) {
    if (missing("grub-mkrescue") || missing("xorriso") || !fs::exists("/usr/lib/grub/i386-pc") ||
        !fs::exists("/usr/lib/grub/x86_64-efi") || !busybox_is_static())
        GTEST_SKIP() << "grub-mkrescue, xorriso, GRUB's modules or busybox-static are not installed";
    auto dir = TempDir::create("medium").value();
    make_phony_kernel(dir / "root");
    put(dir / "agent", as_bytes("#!/bin/sh\n"), 0755);
    put(dir / "script", as_bytes("#!/bin/sh\n"), 0755);
    MediumRequest r;
    r.ramdisk.agent = dir / "agent";
    r.ramdisk.root = dir / "root";
    r.ramdisk.level = 1;
    r.script = dir / "script";
    r.output = dir / "out.iso";
    auto made = make_iso(r);
    ASSERT_TRUE(made.ok()) << made.error().describe();
    EXPECT_EQ(made->bytes, fs::file_size(r.output));
    auto image = read_file(r.output).value();
    EXPECT_EQ(as_text(ByteView(image).subspan(510, 2)), "\x55\xaa");  // a disk's boot sector
    EXPECT_EQ(as_text(ByteView(image).subspan(0x8001, 5)), "CD001");  // a CD
    auto boots = run_checked({"xorriso", "-indev", r.output.string(), "-report_el_torito", "plain"});
    ASSERT_TRUE(boots.ok()) << boots.error().describe();
    EXPECT_THAT(*boots, HasSubstr("BIOS"));
    EXPECT_THAT(*boots, HasSubstr("UEFI"));
}

TEST(Medium, that_has_nowhere_to_go_is_refused_before_anything_is_built) {
    auto dir = TempDir::create("nowhere").value();
    std::vector<std::string> said;
    MediumRequest r;
    r.ramdisk.say = [&](const std::string& text) { said.push_back(text); };
    r.ramdisk.root = dir / "root";  // a build would miss its kernel
    r.output = dir / "nonexist/x.iso";
    auto made = make_iso(r);
    ASSERT_TRUE(made.error().is(errors::kMedium)) << made.error().describe();
    EXPECT_THAT(made.error().describe(), HasSubstr("nonexist"));
    EXPECT_TRUE(said.empty());
    EXPECT_TRUE(check_output(dir.path()).error().is(errors::kMedium));
    EXPECT_THAT(check_output("/dev/null").error().describe(), HasSubstr("--write-device"));
    EXPECT_TRUE(check_output(dir / "x.iso").ok());
    EXPECT_TRUE(check_output("x.iso").ok());
    EXPECT_TRUE(check_device("/dev/null").error().is(errors::kMedium));
    EXPECT_FALSE(check_device(dir / "nonexist").ok());
}

TEST(Medium, that_is_interrupted_leaves_nothing) {
    if (!busybox_is_static()) GTEST_SKIP() << "busybox-static is not installed";
    auto dir = TempDir::create("interrupted").value();
    make_phony_kernel(dir / "root");
    put(dir / "agent", as_bytes("#!/bin/sh\n"), 0755);
    std::atomic<bool> cancelled{false};
    MediumRequest r;
    r.ramdisk.agent = dir / "agent";
    r.ramdisk.root = dir / "root";
    r.ramdisk.cancelled = &cancelled;
    std::string said;
    r.ramdisk.say = [&](const std::string& text) {
        said += text;
        cancelled = true;
    };
    r.output = dir / "out.iso";
    auto made = make_iso(r);
    ASSERT_TRUE(made.error().is(errors::kInterrupted)) << made.error().describe();
    EXPECT_THAT(said, HasSubstr("building the ramdisk ("));
    EXPECT_THAT(said, Not(HasSubstr("writing")));
    EXPECT_FALSE(fs::exists(r.output));
}

TEST(Floppy, holds_ipxe_and_where_to_go) {
    if (missing("mformat") || missing("syslinux") || !fs::exists("/usr/lib/ipxe/ipxe.lkrn"))
        GTEST_SKIP() << "mtools, syslinux or ipxe is not installed";
    auto dir = TempDir::create("floppy").value();
    FloppyRequest r;
    r.http = "http://10.99.0.1:8480";
    r.output = dir / "floppy.img";
    auto made = make_floppy(r);
    ASSERT_TRUE(made.ok()) << made.error().describe();
    EXPECT_EQ(fs::file_size(r.output), 1474560u);
    auto script = run_checked({"mtype", "-i", r.output.string(), "::script.ipx"}).value();
    EXPECT_THAT(script, HasSubstr("chain http://10.99.0.1:8480/boot/script?mac=${netX/mac} ||"));
    EXPECT_THAT(run_checked({"mdir", "-b", "-i", r.output.string()}).value(), HasSubstr("ipxe.krn"));
    r.ipxe = dir / "nowhere";
    EXPECT_TRUE(make_floppy(r).error().is(errors::kNeeded));
}

TEST(WriteToDevice, is_for_disks_that_nobody_uses) {
    auto dir = TempDir::create("device").value();
    put(dir / "image", as_bytes(std::string(4096, 'x')));
    put(dir / "file", as_bytes("not a disk"));
    EXPECT_TRUE(write_to_device(dir / "image", dir / "file").error().is(errors::kMedium));
    EXPECT_EQ(read_text_file(dir / "file").value(), "not a disk");
    EXPECT_TRUE(write_to_device(dir / "image", "/dev/null").error().is(errors::kMedium));
    // The tests' own root, when it is a disk that is seen here.
    auto root = run_checked({"findmnt", "-no", "SOURCE", "/"});
    if (!root.ok() || !root->starts_with("/dev/")) GTEST_SKIP() << "the root file system is on no device";
    auto device = root->substr(0, root->find_first_of("\n["));
    if (!fs::exists(device)) GTEST_SKIP() << device << " is not here";
    EXPECT_TRUE(write_to_device(dir / "image", device).error().is(errors::kMedium));
}
