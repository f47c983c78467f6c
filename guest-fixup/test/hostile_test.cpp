// SPDX-License-Identifier: GPL-3.0-or-later
// Guests that mean harm: their links, their files that are none, their tools, their journal.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "guest-fixup/guest.hpp"
#include "guest-fixup/mounts.hpp"
#include "guest-fixup/sandbox.hpp"
#include "guest-fixup/test/fake_system.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/process.hpp"

using namespace slipway;
using namespace slipway::fixup;
using namespace std::chrono_literals;
using test::manifest;
using testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

class HostileTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: chroot and namespaces";
        if (!fs::exists("/bin/busybox")) GTEST_SKIP() << "busybox-static is not installed";
        test::put_system(guest);
        outside.put("/victim", "precious\n");
        untouched = manifest(outside.path());
        request.root = guest.path();
        request.nics = {*parse_nic("ens18=52:54:00:00:00:02")};
        request.proof_nonce = "n1";
    }
    void TearDown() override { EXPECT_EQ(manifest(outside.path()), untouched); }
    fs::path in_guest(const std::string& path) const { return guest.path() / path.substr(1); }
    void put_link(const std::string& path, const fs::path& target) {
        fs::remove_all(in_guest(path));
        fs::create_directories(in_guest(path).parent_path());
        fs::create_symlink(target, in_guest(path));
    }
    // Whatever it comes to, it comes to an end, and a failure leaves nothing changed.
    void attempt() {
        const auto before = manifest(guest.path());
        const auto report = repair(request);
        EXPECT_TRUE(report.ok() || manifest(guest.path()) == before) << report.error().explain();
    }
    Result<CommandResult> tool(const std::string& script, std::chrono::seconds limit = 30s) {
        test::put_script(guest, "/usr/bin/evil", script);
        return guest_runner(guest.path(), {})({"evil"}, limit);
    }
    void forge(const std::string& journal) {
        guest.put("/var/lib/slipway/repair/journal", std::string(kJournalHead) + journal);
        fs::create_directories(in_guest("/var/lib/slipway/repair/kept"));
    }

    test::FakeRoot guest, outside;
    std::map<std::string, std::string> untouched;
    RepairRequest request;
};

constexpr const char* kWritten[] = {"/etc/fstab",
                                    "/etc/initramfs-tools/modules",
                                    "/etc/systemd/network/10-slipway-ens18.link",
                                    "/boot/grub/device.map",
                                    "/boot/grub/grub.cfg",
                                    "/boot/initrd.img-6.1",
                                    "/var/lib/slipway/repair.json",
                                    "/etc/systemd/system/slipway-proof.service"};
constexpr const char* kDirectories[] = {
    "/etc/initramfs-tools", "/etc/systemd/network",   "/boot", "/var/lib/slipway", "/var/lib", "/var",
    "/etc/systemd/system",  "/var/lib/slipway/repair"};

}  // namespace

TEST_F(HostileTest, links_in_place_of_files_lead_nowhere_outside) {
    const auto victim = (outside.path() / "victim").string();
    std::string dots;
    for (int i = 0; i < 40; ++i) dots += "../";
    for (const char* path : kWritten)
        for (const auto& target :
             {victim, dots + victim.substr(1), "/proc/self/root" + victim, "/proc/1/root" + victim}) {
            SCOPED_TRACE(path + (" -> " + target));
            put_link(path, target);
            attempt();
            EXPECT_EQ(manifest(outside.path()), untouched);
        }
}

TEST_F(HostileTest, a_link_upwards_is_followed_while_others_rename_files) {
    guest.put("/usr/lib/fact", "yes");
    put_link("/etc/fact", "../usr/lib/fact");
    const auto elsewhere = TempDir::create("renames").value();
    const auto a = (elsewhere / "a").string(), b = (elsewhere / "b").string();
    ASSERT_TRUE(write_file_atomic(a, as_bytes("x")));
    std::jthread others([&](std::stop_token stop) {
        while (!stop.stop_requested()) {
            (void)::rename(a.c_str(), b.c_str());
            (void)::rename(b.c_str(), a.c_str());
        }
    });
    auto opened = Guest::open(guest.path(), true).value();
    for (int i = 0; i < 20000; ++i) {
        const auto text = opened.read("/etc/fact");
        ASSERT_TRUE(text.ok()) << i << ": " << text.error().explain();
        ASSERT_EQ(*text, "yes");
    }
}

TEST_F(HostileTest, links_in_place_of_directories_lead_nowhere_outside) {
    for (const char* path : kDirectories)
        for (const auto& target : {outside.path(), fs::path("/proc/self/root") / outside.path().relative_path()}) {
            SCOPED_TRACE(path);
            const test::FakeRoot fresh;
            test::put_system(fresh);
            request.root = fresh.path();
            fs::remove_all(fresh.path() / std::string(path).substr(1));
            fs::create_directories((fresh.path() / std::string(path).substr(1)).parent_path());
            fs::create_symlink(target, fresh.path() / std::string(path).substr(1));
            (void)repair(request).ok();
            EXPECT_EQ(manifest(outside.path()), untouched);
        }
}

TEST_F(HostileTest, journal_directory_that_is_a_link_is_named) {
    fs::create_directories(in_guest("/var/lib/elsewhere"));
    put_link("/var/lib/slipway", "/var/lib/elsewhere");
    const auto report = repair(request);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kJournal)) << report.error().explain();
    EXPECT_THAT(fs::directory_iterator(in_guest("/var/lib/elsewhere")), fs::directory_iterator());
}

TEST_F(HostileTest, journal_that_everyone_may_write_is_not_believed) {
    ASSERT_TRUE(repair(request).ok());
    fs::permissions(in_guest("/var/lib/slipway/repair/journal"), fs::perms(0666));
    request.undo = true;
    const auto report = repair(request);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kJournal));
}

TEST_F(HostileTest, fifos_sockets_devices_and_loops_in_place_of_files_are_refused_at_once) {
    const auto socket_at = [](const fs::path& path) {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        path.string().copy(address.sun_path, sizeof address.sun_path - 1);
        ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    };
    for (const char* path : {"/etc/fstab", "/etc/initramfs-tools/modules", "/boot/grub/grub.cfg",
                             "/boot/initrd.img-6.1", "/lib/modules/6.1/modules.dep", "/var/lib/slipway/repair/journal"})
        for (int kind = 0; kind < 4; ++kind) {
            SCOPED_TRACE(fmt::format("{} {}", path, kind));
            const test::FakeRoot fresh;
            test::put_system(fresh);
            request.root = fresh.path();
            const auto file = fresh.path() / std::string(path).substr(1);
            fs::create_directories(file.parent_path());
            fs::remove(file);
            int made = 0;
            if (kind == 0) made = ::mkfifo(file.c_str(), 0600);
            if (kind == 1) socket_at(file);
            if (kind == 2) made = ::mknod(file.c_str(), S_IFCHR | 0600, makedev(1, 5));
            if (kind == 3) fs::create_symlink(file.filename(), file);
            ASSERT_EQ(made, 0);
            const auto before = manifest(fresh.path());
            const auto report = repair(request);
            EXPECT_TRUE(report.ok() || manifest(fresh.path()) == before) << report.error().explain();
        }
}

TEST_F(HostileTest, huge_files_are_refused_and_not_read) {
    for (const char* path : {"/etc/fstab", "/etc/initramfs-tools/modules", "/boot/initrd.img-6.1"}) {
        const auto old = guest.get(path);
        fs::resize_file(in_guest(path), 1ull << 42);
        const auto report = repair(request);
        ASSERT_FALSE(report.ok()) << path;
        EXPECT_TRUE(report.error().is(fixup::errors::kGuestFile)) << report.error().explain();
        guest.put(path, old);
    }
}

TEST_F(HostileTest, directory_of_countless_names_is_an_error_and_no_end) {
    for (int i = 0; i < 11; ++i) guest.put("/many/" + std::to_string(i), "");
    const auto directory = open_fd(in_guest("/many"), O_RDONLY | O_DIRECTORY).value();
    EXPECT_EQ(names_in(directory.get(), 11).value().size(), 11u);
    const auto refused = names_in(directory.get(), 10);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kGuestFile));
}

// ---- tools

TEST_F(HostileTest, tool_that_forks_without_end_is_ended) {
    const auto result = tool("f() { while :; do sleep 1000 & done; }\nf\n");
    ASSERT_TRUE(result.ok()) << result.error().describe();
    EXPECT_EQ(result->exit_code, 137);
    EXPECT_THAT(result->error_text, HasSubstr("too many processes"));
}

TEST_F(HostileTest, tool_that_hears_no_signal_ends_with_its_time) {
    const auto started = std::chrono::steady_clock::now();
    const auto result = tool("trap '' TERM INT HUP QUIT\nexec >/dev/null 2>&1\nwhile :; do sleep 1; done\n", 2s);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->exit_code, 137);
    EXPECT_LT(std::chrono::steady_clock::now() - started, 20s);
}

TEST_F(HostileTest, output_without_end_is_not_kept) {
    const auto result = tool("yes; :\n", 2s);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->exit_code, 137);
    EXPECT_LE(result->output.size(), (16u << 20) + 65536u);
}

TEST_F(HostileTest, tool_cannot_write_a_file_without_end) {
    const auto result = tool("dd if=/dev/zero of=/huge bs=1 count=1 seek=5368709120 2>/dev/null; echo $?\n");
    ASSERT_TRUE(result.ok());
    EXPECT_NE(result->output, "0\n");
    EXPECT_LT(fs::file_size(in_guest("/huge")), 1u);
}

TEST_F(HostileTest, tool_sees_neither_the_journal_nor_our_processes) {
    std::vector<std::string> notes;
    auto g = Guest::open(guest.path(), false).value();
    ASSERT_TRUE(g.begin_repair(notes).ok());
    ASSERT_TRUE(g.write("a", "/etc/a", "a").ok());
    const auto result =
        tool("ls /var/lib/slipway/repair; echo x >/var/tmp/left; kill -9 1; echo alive; ls /proc/1/root\n");
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->output, "alive\n");
    EXPECT_FALSE(guest.has("/var/tmp/left"));
    ASSERT_TRUE(g.finish_repair().ok());
    EXPECT_FALSE(guest.has("/var/lib/slipway/repair/tmp"));
}

TEST_F(HostileTest, tool_that_walks_out_of_its_root_finds_nothing_there_and_opens_no_device_of_its_own) {
    const char* programs = std::getenv("SLIPWAY_BIN");
    const auto program = fs::path(programs ? programs : "bin") / "fixup-walk-out";
    if (!fs::exists(program)) GTEST_SKIP() << program << " is not built (sanitizers)";
    fs::copy_file(program, in_guest("/usr/bin/walk-out"), fs::copy_options::overwrite_existing);
    const auto result = tool("walk-out " + (outside.path() / "victim").string() + "\n");
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->output, "outside: not reached\ndevice: not opened\n");
}

TEST_F(HostileTest, links_in_place_of_dev_proc_and_tmp_bend_no_mount) {
    const auto before = read_text_file("/proc/self/mountinfo").value();
    for (const char* path : {"/dev", "/proc", "/sys", "/tmp", "/run", "/var/tmp"}) {
        for (const fs::path& target : {outside.path(), fs::path("/"), fs::path("/etc")}) {
            const test::FakeRoot fresh;
            test::put_system(fresh);
            fs::remove_all(fresh.path() / std::string(path).substr(1));
            fs::create_symlink(target, fresh.path() / std::string(path).substr(1));
            const auto tree = manifest(fresh.path());
            (void)guest_runner(fresh.path(), {})({"true"}, 30s).ok();
            EXPECT_EQ(manifest(fresh.path()), tree) << path;
        }
    }
    EXPECT_EQ(read_text_file("/proc/self/mountinfo").value(), before);
}

TEST_F(HostileTest, tool_that_fills_the_disk_is_named_and_taken_back) {
    const test::FakeRoot small;
    if (::mount("none", small.path().c_str(), "tmpfs", 0, "size=16m") != 0) GTEST_SKIP() << "no tmpfs can be mounted";
    test::put_system(small);
    // First all of the disk, then not one name more.
    test::put_script(small, "/usr/sbin/update-initramfs",
                     "cat /dev/zero >/boot/initrd.img-$3; i=0; while echo >/boot/fill-$i; do i=$((i+1)); "
                     "[ $i -lt 3000 ] || break; done 2>/dev/null; exit 1\n");
    request.root = small.path();
    const auto before = manifest(small.path());
    const auto report = repair(request);
    const auto after = manifest(small.path());
    ::umount2(small.path().c_str(), MNT_DETACH);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kInitramfs)) << report.error().explain();
    EXPECT_EQ(after, before);
}

TEST_F(HostileTest, full_disk_is_seen_before_the_tool_runs) {
    const test::FakeRoot small;
    if (::mount("none", small.path().c_str(), "tmpfs", 0, "size=16m") != 0) GTEST_SKIP() << "no tmpfs can be mounted";
    test::put_system(small);
    small.put(test::kInitrd, std::string(6u << 20, 'x'));
    request.root = small.path();
    const auto before = manifest(small.path());
    const auto report = repair(request);
    const auto after = manifest(small.path());
    ::umount2(small.path().c_str(), MNT_DETACH);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kGuestFull)) << report.error().explain();
    EXPECT_EQ(after, before);
}

// ---- mounts

TEST_F(HostileTest, mounts_are_bounded_and_cover_neither_each_other_nor_the_root) {
    const auto root = guest.path();
    const auto other = outside.path();
    // In a thread's own mount namespace, as the repair of a disk is.
    std::string wrong;
    std::thread([&] {
        if (!enter_private_mounts()) return void(wrong = "no mount namespace");
        const Volume volume{.filesystem = "tmpfs"};
        MountStack mounts;
        const auto expect = [&](bool right, const char* what) { wrong += right ? "" : std::string(what) + "; "; };
        const auto mount = [&](const fs::path& where) { return mounts.mount("none", where, volume, false).ok(); };
        if (!mount(root)) return void(wrong = "no tmpfs");
        fs::create_directories(root / "b/c");
        expect(mount(root) && fs::exists(root / "b/c"), "the root is covered");
        fs::create_directory_symlink(other, root / "link");
        expect(!mount(root / "link"), "a link leads out");
        fs::create_directory_symlink(root / "b", root / "to-b");
        expect(!mount(root / "to-b/c"), "a link leads elsewhere");
        expect(mount(root / "b") && !fs::exists(root / "b/c"), "a plain directory is no place");
        fs::create_directory(root / "b/mark");
        expect(mount(root / "b") && fs::exists(root / "b/mark"), "one is mounted over another");
        int count = 0;
        for (bool more = true; more && count < 1000; ++count) {
            fs::create_directory(root / ("m" + std::to_string(count)));
            more = mount(root / ("m" + std::to_string(count)));
        }
        expect(count < 200, "there is no limit");
        const auto unknown = MountStack().mount("none", other, Volume{.filesystem = "nosuchfs"}, false);
        expect(!unknown.ok() && unknown.error().is(fixup::errors::kNeedsAgent), "a kernel without it is not named");
    }).join();
    EXPECT_EQ(wrong, "");
}

// A disk of two partitions: the guest, and one that its fstab names.
class FstabTest : public HostileTest {
protected:
    void SetUp() override {
        HostileTest::SetUp();
        if (IsSkipped()) return;
        if (!fs::exists("/dev/loop-control")) GTEST_SKIP() << "no loop devices";
    }
    Result<RepairReport> repair_disk(const std::string& fstab) {
        guest.put("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n" + fstab);
        const auto disk = (outside_disk.path() / "disk.img").string();
        TRY(run_checked({"truncate", "-s", "80M", disk}));
        CommandOptions table;
        table.input = "start=2048,size=81920,type=83\nstart=83968,size=40960,type=83\n";
        TRY(run_checked({"sfdisk", "-q", "--label", "dos", disk}, table));
        TRY(run_checked({"mke2fs", "-F", "-q", "-t", "ext4", "-b", "1024", "-E", "offset=1048576", "-d",
                         guest.path().string(), disk, "40960"}));
        TRY(run_checked({"mke2fs", "-F", "-q", "-t", "ext4", "-b", "1024", "-E", "offset=42991616", disk, "20480"}));
        request.root.clear();
        request.disk = disk;
        return repair(request);
    }
    test::FakeRoot outside_disk;
};

TEST_F(FstabTest, loops_and_links_in_its_mount_points_lead_nowhere) {
    const auto mounts = read_text_file("/proc/self/mountinfo").value();
    put_link("/loop/a", "b");
    put_link("/loop/b", "/loop/a/../a");
    put_link("/out", outside.path());
    put_link("/self", "/proc/self/root");
    put_link("/again", "/");
    fs::create_directories(in_guest("/data/inner"));
    std::string fstab;
    for (const char* place : {"/loop/a", "/loop/a/x", "/out", "/self", "/again", "/", "/../..", "/data/inner", "/data",
                              "/data", "/data/.", "/dev"})
        fstab += "/dev/sda2 " + std::string(place) + " ext4 defaults 0 2\n";
    for (int i = 0; i < 5000; ++i) fstab += fmt::format("/dev/sda2 /nowhere{}/x ext4 defaults 0 2\n", i);
    const auto report = repair_disk(fstab);
    EXPECT_TRUE(report.ok()) << report.error().explain();
    const auto on_a_file = repair_disk("/dev/sda2 /etc/fstab ext4 defaults 0 2\n");
    ASSERT_TRUE(on_a_file.ok()) << on_a_file.error().explain();
    EXPECT_TRUE(std::any_of(on_a_file->warnings.begin(), on_a_file->warnings.end(),
                            [](const auto& w) { return w.starts_with("/etc/fstab was left out"); }));
    EXPECT_EQ(read_text_file("/proc/self/mountinfo").value(), mounts);
}

TEST_F(FstabTest, of_hundreds_of_file_systems_some_are_mounted_and_that_is_said) {
    std::string fstab;
    for (int i = 0; i < 300; ++i) {
        fs::create_directories(in_guest("/m" + std::to_string(i)));
        fstab += fmt::format("/dev/sda2 /m{} ext4 defaults 0 2\n", i);
    }
    const auto report = repair_disk(fstab);
    ASSERT_TRUE(report.ok()) << report.error().explain();
    EXPECT_TRUE(std::any_of(report->warnings.begin(), report->warnings.end(),
                            [](const auto& w) { return w.find("the rest was left out") != w.npos; }));
    EXPECT_LT(report->warnings.size(), 300u);
}

// ---- its journal

TEST_F(HostileTest, forged_journal_reaches_nothing_outside) {
    const auto victim = (outside.path() / "victim").string();
    put_link("/etc/way-out", outside.path());
    const std::string none = R"("before":{"kind":"none"},"after":{"kind":"none"})";
    for (const auto& path : {"/../.." + victim, std::string("/etc/way-out/victim"), "/proc/self/root" + victim}) {
        forge("{\"run\":1}\n{\"change\":1,\"what\":\"x\",\"path\":\"" + path + "\"," + none + "}\n");
        attempt();
        EXPECT_EQ(manifest(outside.path()), untouched) << path;
        forge("{\"run\":1}\n{\"change\":1,\"what\":\"x\",\"path\":\"" + path + "\"," + none + "}\n{\"end\":1}\n");
        request.undo = true;
        (void)repair(request).ok();
        request.undo = false;
        EXPECT_EQ(manifest(outside.path()), untouched) << path;
        fs::remove_all(in_guest("/var/lib/slipway"));
    }
}

TEST_F(HostileTest, kept_link_is_not_followed) {
    forge(
        "{\"run\":1}\n{\"change\":1,\"what\":\"x\",\"path\":\"/etc/"
        "stolen\",\"tool\":true,\"before\":{\"kind\":\"file\","
        "\"mode\":420,\"uid\":0,\"gid\":0,\"size\":9,\"sha256\":\"" +
        std::string(64, '0') + "\"}}\n");
    fs::create_symlink(outside.path() / "victim", in_guest("/var/lib/slipway/repair/kept/1"));
    const auto report = repair(request);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kJournal)) << report.error().explain();
    EXPECT_FALSE(guest.has("/etc/stolen"));
}

TEST_F(HostileTest, damaged_journal_is_named_and_nothing_is_changed) {
    for (const std::string text : {"{\"run\":1}\nnot json\n{\"end\":1}\n", "{\"end\":1}\n{\"end\":1}\n",
                                   "{\"run\":-1}\n{\"run\":1}\n", "[[[[[[[[\n{}\n"}) {
        forge(text);
        const auto before = manifest(guest.path());
        const auto report = repair(request);
        ASSERT_FALSE(report.ok()) << text;
        EXPECT_TRUE(report.error().is(fixup::errors::kJournal)) << report.error().explain();
        EXPECT_EQ(manifest(guest.path()), before);
    }
}
