// SPDX-License-Identifier: GPL-3.0-or-later
// What is not to start on the new hardware: the drivers file, leftovers of hypervisors, and the ways to switch them
// off.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/forget.hpp"
#include "guest-fixup/leftovers.hpp"
#include "guest-fixup/services.hpp"
#include "guest-fixup/test/fake_root.hpp"
#include "guest-fixup/vendor_agents.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/xml.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

std::string error_of(std::string_view xml) {
    const auto read = parse_drivers_file(xml);
    EXPECT_TRUE(read.ok() || read.error().is(fixup::errors::kDriversFile));
    return read ? "" : read.error().message();
}

std::string entry(const std::string& text) { return "<Configuration>" + text + "</Configuration>"; }

struct ServicesTest : testing::Test {
    test::FakeRoot root;
    void link(const std::string& path, const std::string& target) const {
        const auto place = root.path() / path.substr(1);
        fs::create_directories(place.parent_path());
        fs::create_symlink(target, place);
    }
    std::string target(const std::string& path) const {
        std::error_code none;
        return fs::read_symlink(root.path() / path.substr(1), none).string();
    }
    Guest guest() const { return Guest::open(root.path(), false).value(); }
    // How many changes.
    std::size_t disable(std::string_view pattern, bool foreign_only = false) const {
        auto opened = guest();
        EXPECT_TRUE(disable_service(opened, "test", pattern, foreign_only).ok());
        return opened.journal().size();
    }
};

}  // namespace

TEST(DriversFileXml, vsmts_own_form_is_read) {
    const auto read = parse_drivers_file(
        "\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- <Service/> -->\n<Configuration>\n"
        "  <Service Name=\"hp-health\" Start=\"Disable\"/>\n  <Service Start='disable' Name='srvadmin*'></Service>\n"
        "  <Driver Name=\"hpilo\" Start=\"Disable\" />\n  <Program Name=\"hpssacli\" "
        "Action=\"Remove\"/>\n</Configuration>\n");
    ASSERT_TRUE(read.ok()) << read.error().describe();
    EXPECT_THAT(read->services, ElementsAre("hp-health", "srvadmin*"));
    EXPECT_THAT(read->drivers, ElementsAre("hpilo"));
    EXPECT_THAT(read->programs, ElementsAre("hpssacli"));
    EXPECT_THAT(read->warnings, IsEmpty());
}

TEST(DriversFileXml, what_cannot_be_followed_is_told_with_its_line) {
    const auto read = parse_drivers_file(
        "<Configuration>\n<Service Name=\"Compaq Remote Monitor\" Start=\"Disable\"/>\n<Service Name=\"x\" "
        "Start=\"Manual\"/>\n"
        "<Future><A/><B><C/></B></Future>\n<Driver Start=\"Disable\"/>\n<Driver Name=\"a&amp;b\" Start=\"Disable\"/>\n"
        "<Service Name=\"ok1\" Start=\"Disable\" Colour=\"red\"/></Configuration>");
    ASSERT_TRUE(read.ok()) << read.error().describe();
    EXPECT_THAT(read->services, ElementsAre("ok1"));
    EXPECT_THAT(read->warnings, testing::SizeIs(6));
    EXPECT_THAT(read->warnings[0], HasSubstr("line 2"));
    EXPECT_THAT(read->warnings[2], HasSubstr("line 4: <Future>"));
}

TEST(DriversFileXml, hostile_documents_are_named_errors) {
    EXPECT_THAT(error_of("<!DOCTYPE a [<!ENTITY b \"c\">]><Configuration/>"), HasSubstr("DOCTYPE"));
    EXPECT_THAT(error_of(entry("<Service Name=\"&b;\" Start=\"Disable\"/>")), HasSubstr("entity"));
    EXPECT_THAT(error_of(std::string("\xff\xfe<\0", 4)), HasSubstr("UTF-16"));
    EXPECT_THAT(error_of(std::string(kLongestDriversFile + 1, ' ')), HasSubstr("1 MiB"));
    for (const char* bad :
         {"", "<", "<Other/>", "<Configuration>", "<Configuration/><Configuration/>", "<Configuration/>x",
          "<Configuration><Service Name=\"a\"</Configuration>", "<Configuration><![CDATA[x]]></Configuration>",
          "<Configuration>text</Configuration>", "<Configuration></Service></Configuration>",
          "<Configuration><A></B></Configuration>", "<Configuration><Service Name=a/></Configuration>",
          "<Configuration><Service Name=\"a\" Name=\"b\"/></Configuration>", "<Configuration><!-- </Configuration>",
          "<Configuration><Service Start=\"Disable\" Name=\"aaa\"><A/></Service></Configuration>"})
        EXPECT_NE(error_of(bad), "") << bad;
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += "<a>";
    EXPECT_NE(error_of(entry(deep)), "");
    std::string many;
    for (int i = 0; i < 5'000; ++i) many += "<Driver Name=\"abc\" Start=\"Disable\"/>";
    EXPECT_NE(error_of(entry(many)), "");
}

TEST(DriversFileXml, the_shipped_sample_means_to_us_what_it_means_to_an_xml_library) {
    const auto text = read_text_file(SLIPWAY_SOURCE_DIR "/docs/examples/P2Vdrivers.xml").value();
    const auto read = parse_drivers_file(text);
    ASSERT_TRUE(read.ok()) << read.error().describe();
    EXPECT_THAT(read->warnings, IsEmpty());
    tinyxml2::XMLDocument document;
    ASSERT_TRUE(parse_xml(document, text).ok());
    DriversFile other;
    for (const auto* e = document.RootElement()->FirstChildElement(); e; e = e->NextSiblingElement()) {
        const std::string_view kind(e->Name());
        (kind == "Service"  ? other.services
         : kind == "Driver" ? other.drivers
                            : other.programs)
            .push_back(xml_attribute(*e, "Name"));
    }
    EXPECT_EQ(read->services, other.services);
    EXPECT_EQ(read->drivers, other.drivers);
    EXPECT_EQ(read->programs, other.programs);
    EXPECT_THAT(read->services, Contains("hp-health"));
    EXPECT_EQ(std::count(read->services.begin(), read->services.end(), "mcelog"), 0);
}

TEST(Patterns, no_name_means_everything_or_leads_out) {
    for (const char* bad : {"", "*", "a*", "../x", "a/b", "a b", "a\n", "-x", ".x", "a'b"})
        EXPECT_FALSE(valid_pattern(bad)) << bad;
    for (const char* good : {"hp-health", "srvadmin*", "getty@tty1.service", "8021q"})
        EXPECT_TRUE(valid_pattern(good)) << good;
    EXPECT_TRUE(fits("srvadmin-hapi", "srvadmin*"));
    EXPECT_TRUE(fits("a-b-c", "a*b*c"));
    EXPECT_FALSE(fits("srv", "srvadmin*"));
    EXPECT_FALSE(fits("abc", "ab"));
    EXPECT_FALSE(fits("a", "a*a"));
    EXPECT_FALSE(fits(std::string(200, 'a'), "*a*a*a*a*a*a*a*a*b"));
}

TEST_F(ServicesTest, systemds_units_are_masked_with_what_wakes_them) {
    root.put("/usr/lib/systemd/systemd", "");
    for (const char* unit : {"smartd.service", "smartd.timer", "smartdx.service"})
        root.put("/usr/lib/systemd/system/" + std::string(unit), "");
    EXPECT_EQ(disable("smartd"), 2u);
    EXPECT_EQ(target("/etc/systemd/system/smartd.service"), "/dev/null");
    EXPECT_EQ(target("/etc/systemd/system/smartd.timer"), "/dev/null");
    EXPECT_FALSE(root.has("/etc/systemd/system/smartdx.service"));
    EXPECT_EQ(disable("smartd"), 0u);
    EXPECT_EQ(disable("nothere"), 0u);
}

TEST_F(ServicesTest, a_unit_of_the_administrators_own_stays_and_is_not_wanted_any_more) {
    root.put("/lib/systemd/systemd", "");
    root.put("/etc/systemd/system/agent.service", "[Service]\n");
    link("/etc/systemd/system/multi-user.target.wants/agent.service", "/etc/systemd/system/agent.service");
    EXPECT_EQ(disable("agent.service"), 1u);
    EXPECT_FALSE(root.has("/etc/systemd/system/multi-user.target.wants/agent.service"));
    EXPECT_EQ(root.get("/etc/systemd/system/agent.service"), "[Service]\n");
    EXPECT_EQ(disable("agent.service"), 0u);
}

TEST_F(ServicesTest, systemd_does_not_start_an_init_script_that_is_masked) {
    root.put("/lib/systemd/systemd", "");
    root.put("/etc/init.d/hp-asrd", "#!/bin/sh\n");
    EXPECT_EQ(disable("hp-asrd"), 1u);
    EXPECT_EQ(target("/etc/systemd/system/hp-asrd.service"), "/dev/null");
}

TEST_F(ServicesTest, sysv_links_stop_what_they_started) {
    root.put("/etc/rc.d/init.d/hpasm", "#!/bin/sh\n");
    link("/etc/init.d", "rc.d/init.d");
    link("/etc/rc3.d", "rc.d/rc3.d");
    link("/etc/rc.d/rc3.d/S20hpasm", "../init.d/hpasm");
    link("/etc/rc.d/rc3.d/S20hpasmx", "../init.d/hpasmx");
    link("/etc/rc.d/rc6.d/S05hpasm", "../init.d/hpasm");
    EXPECT_EQ(disable("hpasm"), 2u);
    EXPECT_EQ(target("/etc/rc.d/rc3.d/K80hpasm"), "../init.d/hpasm");
    EXPECT_FALSE(root.has("/etc/rc.d/rc3.d/S20hpasm"));
    EXPECT_TRUE(root.has("/etc/rc.d/rc3.d/S20hpasmx"));
    EXPECT_TRUE(root.has("/etc/rc.d/rc6.d/S05hpasm"));
    EXPECT_EQ(disable("hpasm"), 0u);
}

TEST_F(ServicesTest, openrc_and_upstart_have_their_own_ways) {
    root.put("/sbin/openrc-run", "");
    root.put("/etc/init.d/smartd", "");
    link("/etc/runlevels/default/smartd", "/etc/init.d/smartd");
    root.put("/etc/init/smartd.conf", "start on runlevel [2345]\n");
    EXPECT_EQ(disable("smartd"), 2u);
    EXPECT_FALSE(root.has("/etc/runlevels/default/smartd"));
    EXPECT_EQ(root.get("/etc/init/smartd.override"), "manual\n");
    EXPECT_EQ(disable("smartd"), 0u);
}

TEST_F(ServicesTest, tools_that_look_for_their_hypervisor_first_are_left_alone) {
    root.put("/lib/systemd/systemd", "");
    root.put("/lib/systemd/system/hv-kvp-daemon.service", "[Unit]\nConditionVirtualization=microsoft\n");
    root.put("/lib/systemd/system/vboxadd.service", "[Unit]\nDescription=x\n");
    EXPECT_EQ(disable("hv-kvp-daemon", true), 0u);
    EXPECT_EQ(disable("vboxadd", true), 1u);
    EXPECT_FALSE(only_elsewhere("ConditionVirtualization=|vmware\nConditionVirtualization=|kvm\n"));
    EXPECT_FALSE(only_elsewhere("ConditionVirtualization=vmware\nConditionVirtualization=\n"));
}

TEST(Lists, modules_leave_every_kind_of_list_once) {
    const auto once = unlist_module("hp-ilo\n# hpilo\nhpilox\n hpilo # x\nhp_ilo opt=1\n", "hp_ilo");
    EXPECT_EQ(once, "# Slipway: hp-ilo\n# hpilo\nhpilox\n hpilo # x\n# Slipway: hp_ilo opt=1\n");
    EXPECT_EQ(unlist_module(once, "hp_ilo"), once);
    const std::string lists =
        "INITRD_MODULES=\"ata_piix hpsa ext3\"\nMODULES=(hpsa btrfs)\nadd_drivers+=\" ahci hpsa \"\nOTHER=\"hpsa\"\n";
    const auto dropped = drop_from_lists(lists, "hpsa");
    EXPECT_EQ(dropped, "INITRD_MODULES=\"ata_piix ext3\"\nMODULES=(btrfs)\nadd_drivers+=\" ahci \"\nOTHER=\"hpsa\"\n");
    EXPECT_EQ(drop_from_lists(dropped, "hpsa"), dropped);
}

TEST(Programs, a_script_still_parses_when_a_command_is_gone) {
    const std::string script =
        "#!/bin/sh\nif true; then\n    /opt/hp/hpmond -d\nfi\n/usr/bin/other hpmond\nif [ -x hpmond ]; then\nx && "
        "\\\nhpmond\nexit 0\n";
    const auto once = comment_program(script, "hpmond", Startup::Script);
    EXPECT_EQ(once,
              "#!/bin/sh\nif true; then\n:  # Slipway:     /opt/hp/hpmond -d\nfi\n/usr/bin/other hpmond\nif [ -x "
              "hpmond ]; then\nx && \\\nhpmond\nexit 0\n");
    EXPECT_EQ(comment_program(once, "hpmond", Startup::Script), once);
    EXPECT_EQ(
        comment_program("hp:2345:respawn:/sbin/hpmond x\nco:2345:respawn:/sbin/agetty\n", "hpmond", Startup::Inittab),
        "# Slipway: hp:2345:respawn:/sbin/hpmond x\nco:2345:respawn:/sbin/agetty\n");
    EXPECT_EQ(comment_program("@reboot root /opt/hpmond\n0 1 * * * root /opt/hpmond\n", "hpmond", Startup::Cron),
              "# Slipway: @reboot root /opt/hpmond\n0 1 * * * root /opt/hpmond\n");
}

TEST(Leftovers, mounts_that_only_another_hypervisor_has_do_not_end_the_boot) {
    const std::string fstab =
        "UUID=a / ext4 x 0 1\nshare /mnt/s vboxsf defaults 0 0\n# x /y vboxsf z\n.host:/ /mnt/h fuse.vmhgfs-fuse x 0 "
        "0\n";
    const auto once = comment_file_systems(fstab, {"vboxsf"});
    EXPECT_EQ(once,
              "UUID=a / ext4 x 0 1\n# Slipway: of another hypervisor: share /mnt/s vboxsf defaults 0 0\n# x /y vboxsf "
              "z\n.host:/ /mnt/h fuse.vmhgfs-fuse x 0 0\n");
    EXPECT_EQ(comment_file_systems(once, {"vboxsf"}), once);
}

TEST(Leftovers, devices_go_back_to_the_drivers_of_the_kernel) {
    const auto once = comment_aliases("alias eth0 xen-vnif\nalias scsi_hostadapter ata_piix\n", {"xen-vnif"});
    EXPECT_EQ(once, "# Slipway: of another hypervisor: alias eth0 xen-vnif\nalias scsi_hostadapter ata_piix\n");
    const std::string xorg =
        "Section \"Device\"\n    Driver \"vmware\" # x\nEndSection\n    driver\t\"vmmouse\"\n    Driver \"nvidia\"\n";
    const auto display = edit_xorg(xorg, "modesetting");
    EXPECT_EQ(display,
              "Section \"Device\"\n    Driver \"modesetting\" # x\nEndSection\n    driver\t\"mouse\"\n    Driver "
              "\"nvidia\"\n");
    EXPECT_EQ(edit_xorg(display, "modesetting"), display);
}
