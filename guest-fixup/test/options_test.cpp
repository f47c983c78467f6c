// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/options.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::HasSubstr;
using testing::Not;

namespace {

Result<RepairRequest> parsed(const std::string& arguments) {
    CLI::App app;
    Options options;
    options.add_to(app, "the disk");
    app.parse(arguments);
    return options.request();
}

}  // namespace

TEST(Options, all_of_them_reach_the_request) {
    const auto request = parsed(
        "--disk x.img --target virtio --firmware uefi --nic ens18=52:54:00:51:00:02 --nic "
        "52:54:00:00:00:01=52:54:00:51:00:03 --proof-nonce n1 --dry-run");
    ASSERT_TRUE(request.ok()) << request.error().describe();
    EXPECT_EQ(request->disk, "x.img");
    EXPECT_EQ(request->target, TargetController::VirtioBlk);
    EXPECT_EQ(request->firmware, Firmware::Uefi);
    EXPECT_EQ(request->nics.size(), 2u);
    EXPECT_EQ(request->proof_nonce, "n1");
    EXPECT_EQ(parse_nic("Local Area Connection 2=52:54:00:51:00:02")->old_name, "Local Area Connection 2");
    EXPECT_FALSE(parse_nic("a\"b=52:54:00:51:00:02"));
    EXPECT_TRUE(request->dry_run);
}

TEST(Options, hal_and_patch_library_reach_the_request) {
    const auto request =
        parsed("--disk x --target ide --fixhal ACPI --hwpatchdir /a --hwpatchdir /b --processors 2").value();
    EXPECT_EQ(request.fix_hal, patches::FixHal::Acpi);
    EXPECT_EQ(request.patch_directories, (std::vector<std::filesystem::path>{"/a", "/b"}));
    EXPECT_EQ(request.processors, 2u);
    EXPECT_EQ(parsed("--disk x --target ide")->fix_hal, patches::FixHal::Auto);
    for (const char* arguments : {"--disk x --target ide --fixhal yes", "--disk x --target ide --processors 0"})
        EXPECT_THROW((void)parsed(arguments), CLI::ParseError) << arguments;
}

TEST(Options, what_cannot_be_meant_is_refused) {
    for (const char* arguments : {"--target ide", "--disk x", "--disk x --target ide --nic nonsense"})
        EXPECT_FALSE(parsed(arguments).ok()) << arguments;
    for (const char* arguments : {"--disk x --target floppy", "--disk x --root y --target ide",
                                  "--disk x --target ide --firmware openfirmware"})
        EXPECT_THROW((void)parsed(arguments), CLI::ParseError) << arguments;
}

TEST(Options, an_adapter_is_refused_by_the_half_that_is_wrong) {
    const auto why = [](const std::string& nic) {
        return parsed("--disk x --target ide --nic " + nic).error().message();
    };
    EXPECT_THAT(why("ens18"), HasSubstr("no '='"));
    EXPECT_THAT(why("ens18=52:54:00:51:00"), HasSubstr("NEW, '52:54:00:51:00', is no MAC address"));
    EXPECT_THAT(why("ens18=00:00:00:00:00:00"), HasSubstr("NEW is all zeros"));
    EXPECT_THAT(why("ens18=01:00:5e:00:00:01"), HasSubstr("NEW, 01:00:5e:00:00:01, is a group's"));
    EXPECT_THAT(why("a/b=52:54:00:51:00:02"), HasSubstr("OLD, 'a/b', is neither"));
    EXPECT_THAT(why("=52:54:00:51:00:02"), HasSubstr("OLD, '', is neither"));
}

TEST(Options, an_undo_takes_nothing_that_says_what_a_repair_makes) {
    const auto request = parsed("--disk x --more-disk y --root-volume /dev/vg0/root --undo --dry-run");
    ASSERT_TRUE(request.ok()) << request.error().describe();
    EXPECT_TRUE(request->undo && request->dry_run);
    for (const char* more : {"--target ide", "--firmware uefi", "--nic a=52:54:00:51:00:02", "--serial-console",
                             "--hostname x", "--prepare-template", "--fixhal acpi", "--drivers d", "--proof-nonce n"})
        EXPECT_THROW((void)parsed("--disk x --undo " + std::string(more)), CLI::ExcludesError) << more;
}

TEST(Options, a_report_drives_no_terminal) {
    RepairReport report;
    report.distribution = "Evil \x1b[2J";
    report.journal = {{"fstab", "/etc/\x1b]0;x\x07", "", ""}};
    report.warnings = {"\x1b[31m"};
    EXPECT_THAT(to_text(report), Not(HasSubstr("\x1b")));
    EXPECT_EQ(exit_code(report), 3);
}
