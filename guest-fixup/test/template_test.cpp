// SPDX-License-Identifier: GPL-3.0-or-later
// A reference machine before it is captured: what makes it one machine goes, what it is made of stays.
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/template.hpp"
#include "guest-fixup/test/fake_root.hpp"
#include "lib/base/fd.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fs = std::filesystem;

namespace {

class TemplateTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root, as every repair";
        root.put("/etc/debian_version", "12.0\n");
        root.put("/lib/systemd/systemd", "");
        root.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\nops:x:1000:1000::/home/ops:/bin/sh\nbad:x:5:5::/:/x\n");
        root.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        root.put("/usr/sbin/sshd", "");
        root.put("/etc/ssh/ssh_host_rsa_key", "PRIVATE\n");
        request.root = root.path();
        request.prepare_template = Template::Only;
    }
    RepairReport run() {
        auto report = repair(request);
        EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().explain());
        return report.ok() ? *std::move(report) : RepairReport{};
    }
    test::FakeRoot root;
    RepairRequest request;
};

}  // namespace

TEST_F(TemplateTest, every_row_clears_what_it_names) {
    std::vector<std::string> made;
    for (const auto& row : template_rows()) {
        std::string name(row.pattern);
        for (std::size_t at; (at = name.find('*')) != std::string::npos;) name.replace(at, 1, "x");
        auto path = row.directory == "~"   ? "/home/ops/" + name
                    : row.directory == "/" ? "/" + name
                                           : std::string(row.directory) + "/" + name;
        if (row.clearing == Clearing::RemoveBelow) path += "/deep/file";
        root.put(path, "x");
        made.push_back(path);
    }
    run();
    for (const auto& path : made) EXPECT_FALSE(root.has(path)) << path;
}

TEST_F(TemplateTest, ids_and_keys_go_and_the_second_time_nothing_is_left_to_do) {
    root.put("/home/ops/.bash_history", "mysql -ps3cret\n");
    root.put("/etc/udev/rules.d/70-persistent-net.rules", "x\n");
    root.put("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nHWADDR=52:54:00:00:00:01\nUUID=1-2\n");
    root.put("/etc/NetworkManager/system-connections/wifi",
             "[wifi-security]\npsk=s3cret\n[ethernet]\nmac-address=52:54:00:00:00:01\n");
    root.put("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org.debian:01:abc\n");
    const auto report = run();
    EXPECT_EQ(root.get("/etc/machine-id"), "");
    EXPECT_EQ(fs::status(root.path() / "var/lib/slipway/repair.json").permissions(),
              fs::perms::owner_read | fs::perms::owner_write);
    for (const auto& entry : fs::recursive_directory_iterator(root.path() / "var/lib/slipway")) {
        if (!entry.is_regular_file()) continue;
        EXPECT_THAT(read_text_file(entry.path()).value(), Not(HasSubstr("0123456789abcdef"))) << entry.path();
    }
    EXPECT_FALSE(root.has("/etc/ssh/ssh_host_rsa_key"));
    EXPECT_FALSE(root.has("/home/ops/.bash_history"));
    EXPECT_FALSE(root.has("/etc/udev/rules.d/70-persistent-net.rules"));
    EXPECT_EQ(root.get("/etc/sysconfig/network-scripts/ifcfg-eth0"), "DEVICE=eth0\n");
    EXPECT_EQ(root.get("/etc/NetworkManager/system-connections/wifi"), "[wifi-security]\npsk=s3cret\n[ethernet]\n");
    EXPECT_EQ(root.get("/etc/iscsi/initiatorname.iscsi"), "GenerateName=yes\n");
    EXPECT_THAT(to_json(report), Not(HasSubstr("s3cret")));
    EXPECT_THAT(to_json(report), Not(HasSubstr("PRIVATE")));
    EXPECT_THAT(run().journal, IsEmpty());
}

// A removed package leaves its keys, and one that is installed later takes them.
TEST_F(TemplateTest, keys_go_where_no_sshd_is_and_nothing_makes_others) {
    fs::remove(root.path() / "usr/sbin/sshd");
    run();
    EXPECT_FALSE(root.has("/etc/ssh/ssh_host_rsa_key"));
    EXPECT_FALSE(root.has("/etc/systemd/system/slipway-ssh-host-keys.service"));
}

TEST_F(TemplateTest, logs_that_are_written_stay_empty_and_the_others_go) {
    for (const char* log : {"syslog", "wtmp", "mysql/error.log"}) root.put("/var/log/" + std::string(log), "said\n");
    for (const char* log : {"syslog.1", "syslog.2.gz", "messages-20260101", "journal/0123/system.journal"})
        root.put("/var/log/" + std::string(log), "said\n");
    run();
    for (const char* log : {"syslog", "wtmp", "mysql/error.log"}) {
        EXPECT_TRUE(root.has("/var/log/" + std::string(log))) << log;
        EXPECT_EQ(root.get("/var/log/" + std::string(log)), "") << log;
    }
    for (const char* log : {"syslog.1", "syslog.2.gz", "messages-20260101", "journal/0123/system.journal"})
        EXPECT_FALSE(root.has("/var/log/" + std::string(log))) << log;
    EXPECT_FALSE(rotated("error.log"));
    EXPECT_FALSE(rotated("Xorg.log"));
    EXPECT_FALSE(rotated("php-8"));
}

TEST_F(TemplateTest, no_link_leads_it_to_clear_what_is_elsewhere) {
    test::FakeRoot outside;
    outside.put("/tmp/precious", "x");
    fs::create_directories(root.path() / "var");
    fs::create_directory_symlink(outside.path(), root.path() / "var/log");
    root.put("/home/db/data", "x");
    fs::create_directory_symlink("/home/db", root.path() / "tmp");
    fs::create_directories(root.path() / "var/tmp");
    fs::create_symlink("/home/db/data", root.path() / "var/tmp/link");
    run();
    EXPECT_TRUE(outside.has("/tmp/precious"));
    EXPECT_TRUE(root.has("/home/db/data"));
    EXPECT_FALSE(root.has("/var/tmp/link"));
}

TEST_F(TemplateTest, what_only_a_person_can_take_back_is_told) {
    root.put("/etc/krb5.keytab", "k");
    root.put("/home/ops/.ssh/authorized_keys", "ssh-rsa AAAA\n");
    const auto report = run();
    EXPECT_THAT(report.warnings, Contains(HasSubstr("keytab")));
    EXPECT_THAT(report.warnings, Contains(HasSubstr("ops")));
    EXPECT_TRUE(root.has("/etc/krb5.keytab"));
}

TEST_F(TemplateTest, the_script_for_a_running_machine_knows_every_row) {
    const auto script = read_text_file(SLIPWAY_SOURCE_DIR "/docs/examples/prepare-template.sh").value();
    for (const auto& row : template_rows()) {
        const auto path = row.directory == "~"   ? std::string(row.pattern)
                          : row.directory == "/" ? "/" + std::string(row.pattern)
                                                 : std::string(row.directory) + "/" + std::string(row.pattern);
        EXPECT_THAT(script, HasSubstr(path));
    }
}
