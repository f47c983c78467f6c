// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway fixup` on a small guest in a dynamic VHD, by the real appliance: the same as this machine's kernel makes of
// the same disk; killed and taken up again; on disks that are none.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "guest-fixup/test/fake_disk.hpp"
#include "guest-fixup/test/fake_root.hpp"
#include "lib/base/process.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

std::string program() {
    const char* bin = std::getenv("SLIPWAY_BIN");
    return std::string(bin ? bin : "bin") + "/slipway";
}

std::string digest(const fs::path& file) { return run_checked({"sha256sum", file.string()}).value().substr(0, 64); }

// What two places call differently.
json::value comparable(const std::string& text) {
    auto report = json::parse(text);
    report.as_object().erase("root_device");
    return report;
}

class FixupLab : public testing::Test {
protected:
    static void SetUpTestSuite() {
        if (::geteuid() != 0) why = "needs root, to repair the same disk without the appliance";
        for (const char* tool : {"/bin/busybox", "/usr/bin/qemu-system-x86_64", "/dev/loop-control", "/sbin/sfdisk"})
            if (!fs::exists(tool)) why = std::string(tool) + " is missing";
        if (!why.empty()) return;
        lab = new TempDir(TempDir::create("fixup-appliance").value());
        make_disk(raw(), 0);
        make_disk(slow(), 5);
    }
    static void TearDownTestSuite() {
        delete lab;
        lab = nullptr;
    }
    void SetUp() override {
        if (!lab) GTEST_SKIP() << why;
    }

    static fs::path raw() { return *lab / "plain.img"; }
    static fs::path slow() { return *lab / "slow.img"; }  // its initramfs takes seconds
    static void script(const fixup::test::FakeRoot& guest, const std::string& path, const std::string& body) {
        guest.put(path, "#!/bin/sh\n" + body);
        fs::permissions(guest.path() / path.substr(1), fs::perms(0755));
    }
    // A guest whose tools are busybox scripts, on the first partition of a disk of 64 MiB.
    static void make_disk(const fs::path& disk, int seconds) {
        fixup::test::FakeRoot guest;
        for (const char* name : {"proc", "sys", "dev", "tmp", "run", "bin", "usr/bin", "usr/sbin", "sbin", "var/lib"})
            fs::create_directories(guest.path() / name);
        fs::copy_file("/bin/busybox", guest.path() / "bin/busybox");
        for (const char* applet : {"bin/sh", "bin/cat", "bin/sed", "bin/mv", "bin/sleep", "usr/bin/env"})
            fs::create_symlink("/bin/busybox", guest.path() / applet);
        guest.put("/etc/os-release", "PRETTY_NAME=\"Fake 1\"\n");
        guest.put("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n");
        guest.put("/etc/initramfs-tools/initramfs.conf", "MODULES=list\n");
        guest.put("/etc/initramfs-tools/modules", "ahci\n");
        guest.put("/lib/modules/6.1/modules.dep",
                  "k/virtio_pci.ko:\nk/virtio_blk.ko:\nk/sd_mod.ko:\nk/ahci.ko:\nk/ata_piix.ko:\n");
        guest.put("/lib/systemd/systemd", "");
        fs::create_directories(guest.path() / "lib/systemd/network");
        guest.put("/boot/grub/grub.cfg", "linux /vmlinuz root=UUID=aaaa ro\n");
        guest.put("/boot/initrd.img-6.1", "k/ahci.ko\n");
        script(guest, "/usr/sbin/update-initramfs",
               "sed 's,^,k/,;s,$,.ko,' /etc/initramfs-tools/modules >/boot/new; mv /boot/new /boot/initrd.img-$3\n"
               "sleep " +
                   std::to_string(seconds) + "\n");
        script(guest, "/usr/bin/lsinitramfs", "cat \"$1\"\n");
        const auto part = *lab / "part";
        std::ofstream(part).close();
        fs::resize_file(part, 60u << 20);
        ASSERT_TRUE(run_checked({"mke2fs", "-q", "-t", "ext4", "-F", "-d", guest.path().string(), part.string()}).ok());
        std::ofstream(disk).close();
        fs::resize_file(disk, 64u << 20);
        ASSERT_TRUE(run_checked({"sfdisk", "-q", disk.string()},
                                {.input = "label: dos\nlabel-id: 0x12345678\nstart=2048, size=122880, type=83\n"})
                        .ok());
        ASSERT_TRUE(run_checked({"dd", "if=" + part.string(), "of=" + disk.string(), "bs=1M", "seek=1", "conv=notrunc",
                                 "status=none"})
                        .ok());
        fs::remove(part);
    }
    static fs::path dynamic_copy(const std::string& name, const fs::path& of = raw()) {
        const auto file = *lab / name;
        EXPECT_TRUE(run_checked({program(), "vhd", "convert", "--from", of.string(), "--to", file.string(), "--type",
                                 "dynamic"})
                        .ok());
        return file;
    }
    static std::vector<std::string> words(const fs::path& disk, std::vector<std::string> more = {}) {
        std::vector<std::string> argv{program(),       "fixup",      "--disk", disk.string(),
                                      "--target",      "virtio-blk", "--nic",  "ens18=52:54:00:51:00:02",
                                      "--proof-nonce", "n1"};
        argv.insert(argv.end(), more.begin(), more.end());
        return argv;
    }
    static CommandResult fixup(const fs::path& disk, std::vector<std::string> more = {}) {
        return run_command(words(disk, std::move(more)), options()).value();
    }
    // The ramdisk of one run serves the next, and the user's cache is left alone.
    static CommandOptions options() {
        static const auto cache = "XDG_CACHE_HOME=" + (*lab / "cache").string();
        CommandOptions out;
        out.environment = {cache};
        out.before_exec = [] {
            return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 ? 0 : errno;
        };  // an ended test leaves nothing
        return out;
    }

    static TempDir* lab;
    static std::string why;
};
TempDir* FixupLab::lab = nullptr;
std::string FixupLab::why;

// The one child of a process that runs this program.
pid_t child_running(pid_t parent, const std::string& name) {
    const auto children = read_text_file(fmt::format("/proc/{0}/task/{0}/children", parent)).value_or("");
    for (const auto& word : split(children, ' ')) {
        const auto pid = parse_u64(trim(word));
        if (pid && read_text_file(fmt::format("/proc/{}/cmdline", *pid)).value_or("").find(name) != std::string::npos)
            return static_cast<pid_t>(*pid);
    }
    return 0;
}

}  // namespace

TEST_F(FixupLab, a_dry_run_in_the_appliance_says_all_and_changes_no_byte) {
    const auto vhd = dynamic_copy("dry.vhd");
    const auto before = digest(vhd);
    const auto there = fixup(vhd, {"--dry-run", "--json"});
    EXPECT_EQ(digest(vhd), before);
    const auto here = fixup(raw(), {"--dry-run", "--json", "--appliance", "never"});
    ASSERT_NE(here.exit_code, 1) << here.output << here.error_text;
    EXPECT_EQ(there.exit_code, here.exit_code) << there.output << there.error_text;
    EXPECT_EQ(json::serialize(comparable(there.output)), json::serialize(comparable(here.output)));
    EXPECT_THAT(there.output, AllOf(HasSubstr("/etc/fstab"), HasSubstr(vhd.string() + " partition 1")));
}

TEST_F(FixupLab, killed_midway_the_image_is_whole_and_the_next_run_ends_as_the_direct_one_does) {
    const auto vhd = dynamic_copy("killed.vhd", slow());
    int pipe_fds[2];
    ASSERT_EQ(::pipe2(pipe_fds, O_CLOEXEC), 0);
    UniqueFd said(pipe_fds[0]), theirs(pipe_fds[1]);
    auto child = Child::spawn(words(vhd), {-1, theirs.get(), theirs.get()}, options());
    ASSERT_TRUE(child.ok());
    theirs.reset();
    std::string text;
    bool killed = false;
    char buffer[4096];
    for (ssize_t n; (n = ::read(said.get(), buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<std::size_t>(n));
        if (killed || text.find("\ninitramfs") == std::string::npos) continue;
        const auto qemu = child_running(child->pid(), "qemu-system");
        ASSERT_GT(qemu, 0) << text;
        ::kill(qemu, SIGKILL);
        killed = true;
    }
    EXPECT_EQ(child->wait(), 1) << text;
    EXPECT_THAT(text, HasSubstr("console.appliance-ended"));
    EXPECT_EQ(run_command({program(), "vhd", "check", vhd.string()}).value().exit_code, 0);

    const auto there = fixup(vhd);
    ASSERT_NE(there.exit_code, 1) << there.output << there.error_text;
    const auto copy = *lab / "direct.img";
    ASSERT_TRUE(run_checked({"cp", "--sparse=always", slow().string(), copy.string()}).ok());
    EXPECT_EQ(fixup(copy, {"--appliance", "never"}).exit_code, there.exit_code);
    // What a direct run finds on the appliance's disk: nothing to do.
    const auto flat = *lab / "flat.img";
    ASSERT_TRUE(
        run_checked({program(), "vhd", "convert", "--from", vhd.string(), "--to", flat.string(), "--type", "raw"})
            .ok());
    const auto again = fixup(flat, {"--appliance", "never", "--json"});
    ASSERT_NE(again.exit_code, 1) << again.output << again.error_text;
    EXPECT_EQ(json::parse(again.output).at("journal").as_array().size(), 0u) << again.output;
    EXPECT_EQ(run_command({"e2fsck", "-fn", flat.string() + "?offset=1048576"}).value().exit_code, 0);
}

TEST_F(FixupLab, two_targets_in_a_row_and_an_undo_give_every_file_its_first_bytes_back) {
    const auto disk = *lab / "twice.img";
    ASSERT_TRUE(run_checked({"cp", "--sparse=always", raw().string(), disk.string()}).ok());
    const auto files = [&] { return slipway::fixup::test::files_on(disk).value(); };
    const auto here = [&](std::vector<std::string> more) {
        std::vector<std::string> argv{program(), "fixup", "--disk", disk.string(), "--appliance", "never"};
        argv.insert(argv.end(), more.begin(), more.end());
        return run_command(argv, options()).value();
    };
    const auto original = files();
    auto last = original;
    for (const char* target : {"ide", "virtio-blk"}) {
        const auto ran = here({"--target", target});
        ASSERT_NE(ran.exit_code, 1) << ran.output << ran.error_text;
        const auto now = files();
        EXPECT_FALSE(slipway::fixup::test::differences(now, last).empty()) << target;
        last = now;
    }
    const auto undone = here({"--undo"});
    EXPECT_EQ(undone.exit_code, 0) << undone.output << undone.error_text;
    EXPECT_THAT(slipway::fixup::test::differences(files(), original), testing::IsEmpty());
}

TEST_F(FixupLab, what_is_no_disk_is_named_before_a_machine_is_started) {
    const auto vhd = dynamic_copy("half.vhd");
    fs::resize_file(vhd, fs::file_size(vhd) / 2);
    const auto garbage = *lab / "garbage.img";
    ASSERT_TRUE(
        run_checked({"dd", "if=/dev/urandom", "of=" + garbage.string(), "bs=1M", "count=8", "status=none"}).ok());
    for (const auto& disk : {vhd, garbage}) {
        const auto before = digest(disk);
        const auto ran = fixup(disk, {"--json"});
        EXPECT_EQ(ran.exit_code, 1) << disk << ran.output << ran.error_text;
        const auto name = std::string(json::parse(ran.output).at("error").at("name").as_string());
        EXPECT_THAT(name, testing::AnyOf(HasSubstr("disks."), HasSubstr("fixup.no-root"))) << ran.output;
        EXPECT_EQ(digest(disk), before);
    }
    EXPECT_EQ(fixup(raw(), {"--target", "floppy"}).exit_code, 2);
}
