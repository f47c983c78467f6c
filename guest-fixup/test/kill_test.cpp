// SPDX-License-Identifier: GPL-3.0-or-later
// A repair that is killed before each system call that changes anything, and one for which each of them fails. The
// child is traced, so nothing in the product knows of it.
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/disk_repair.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "guest-fixup/guest.hpp"
#include "guest-fixup/test/fake_system.hpp"
#include "guest-fixup/test/fake_windows.hpp"
#include "guest-fixup/windows/repair.hpp"
#include "guest-fixup/windows/sectors.hpp"
#include "lib/disks/block.hpp"
#include "lib/patches/library.hpp"
#include "lib/patches/test/media.hpp"

using namespace slipway;
using namespace slipway::fixup;
namespace fs = std::filesystem;

namespace {

#ifdef __x86_64__

bool needs_space(const user_regs_struct& r) {
    static const std::set<unsigned long long> calls{SYS_write,    SYS_pwrite64,  SYS_mkdir,    SYS_mkdirat,
                                                    SYS_link,     SYS_linkat,    SYS_symlink,  SYS_symlinkat,
                                                    SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr};
    if (r.orig_rax == SYS_openat) return (r.rdx & O_CREAT) != 0;
    return calls.contains(r.orig_rax);
}

bool changes(const user_regs_struct& r) {
    static const std::set<unsigned long long> calls{SYS_unlink,    SYS_unlinkat,  SYS_rename,    SYS_renameat,
                                                    SYS_renameat2, SYS_ftruncate, SYS_fsync,     SYS_fchmod,
                                                    SYS_fchown,    SYS_fchownat,  SYS_utimensat, SYS_rmdir};
    return needs_space(r) || calls.contains(r.orig_rax);
}

enum class What { Nothing, Kill, FailOnce, FailFromHere };
struct Ended {
    int status = 0;
    std::size_t calls = 0;
};

// Runs act in a child; at the number-th of the calls that matter (from 1) something happens.
Ended traced(What what, std::size_t number, int error, const std::function<int()>& act) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        ::_exit(act());
    }
    Ended ended;
    ::waitpid(child, &ended.status, 0);
    ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    bool entering = true, fail = false;
    for (int signal = 0;;) {
        ::ptrace(PTRACE_SYSCALL, child, nullptr, signal);
        ::waitpid(child, &ended.status, 0);
        if (!WIFSTOPPED(ended.status)) return ended;
        signal = WSTOPSIG(ended.status);
        if (signal != (SIGTRAP | 0x80)) continue;
        signal = 0;
        user_regs_struct regs{};
        ::ptrace(PTRACE_GETREGS, child, nullptr, &regs);
        if (entering) {
            const bool counts = what == What::Kill || what == What::Nothing ? changes(regs) : needs_space(regs);
            if (counts) ++ended.calls;
            if (what == What::Kill && counts && ended.calls == number) ::kill(child, SIGKILL);
            fail = counts && ((what == What::FailOnce && ended.calls == number) ||
                              (what == What::FailFromHere && ended.calls >= number));
            if (fail) regs.orig_rax = ~0ull;
        } else if (fail) {
            regs.rax = static_cast<unsigned long long>(-error);
        }
        if (fail) ::ptrace(PTRACE_SETREGS, child, nullptr, &regs);
        entering = !entering;
    }
}

using Manifest = std::map<std::string, std::string>;

// The journal's own numbers depend on what was before it.
Manifest without_journal(Manifest all) {
    std::erase_if(all, [](const auto& entry) {
        return entry.first.starts_with(kJournalDirectory) || entry.first.starts_with("/WINDOWS/slipway/repair");
    });
    return all;
}

// In memory where that can be had: thousands of fsyncs.
class Memory {
public:
    Memory() {
        struct statfs info {};
        if (const char* old = std::getenv("TMPDIR")) old_ = old;
        constexpr unsigned long kNoExec = 8;  // ST_NOEXEC
        if (::statfs("/dev/shm", &info) == 0 && !(static_cast<unsigned long>(info.f_flags) & kNoExec) &&
            info.f_bfree * static_cast<unsigned long>(info.f_bsize) > (32u << 20))
            ::setenv("TMPDIR", "/dev/shm", 1);
    }
    ~Memory() {
        if (old_) ::setenv("TMPDIR", old_->c_str(), 1);
        else ::unsetenv("TMPDIR");
    }

private:
    std::optional<std::string> old_;
};

class KillTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: chroot and namespaces";
        if (!fs::exists("/bin/busybox")) GTEST_SKIP() << "busybox-static is not installed";
        if (WEXITSTATUS(traced(What::Nothing, 0, 0, [] { return 7; }).status) != 7)
            GTEST_SKIP() << "tracing is not allowed here";
    }
    static RepairRequest request_for(const test::FakeRoot& guest) {
        RepairRequest request;
        request.root = guest.path();
        request.nics = {*parse_nic("ens18=52:54:00:00:00:02")};
        return request;
    }
    static void fill(const test::FakeRoot& guest) {
        test::put_system(guest);
        // In place, as dracut does, and with a leftover.
        test::put_script(guest, "/usr/sbin/update-initramfs",
                         "echo x >/boot/initrd.img-$3.made; sed 's,^,k/,;s,$,.ko,' /etc/initramfs-tools/modules "
                         ">/boot/initrd.img-$3\n");
    }
    static int code_of(const Result<RepairReport>& report) {
        if (report.ok()) return 0;
        return report.error().is(fixup::errors::kGuestFull) ? 3 : 4;
    }

    Memory memory;
};

TEST_F(KillTest, killed_at_any_step_the_next_repair_ends_as_an_undisturbed_one_and_undo_gives_the_original) {
    const test::FakeRoot undisturbed;
    fill(undisturbed);
    const auto original = test::manifest(undisturbed.path());
    const auto request = request_for(undisturbed);
    const auto whole = traced(What::Nothing, 0, 0, [&] { return code_of(repair(request)); });
    ASSERT_EQ(WEXITSTATUS(whole.status), 0);
    const auto wanted = without_journal(test::manifest(undisturbed.path()));
    ASSERT_GT(whole.calls, 50u);
    for (std::size_t n = 1; n <= whole.calls; ++n) {
        SCOPED_TRACE(fmt::format("killed before call {} of {}", n, whole.calls));
        const test::FakeRoot guest;
        fill(guest);
        auto again = request_for(guest);
        const auto killed = traced(What::Kill, n, 0, [&] { return code_of(repair(again)); });
        ASSERT_TRUE(WIFSIGNALED(killed.status));
        const auto report = repair(again);
        ASSERT_TRUE(report.ok()) << report.error().explain();
        ASSERT_EQ(without_journal(test::manifest(guest.path())), wanted);
        again.undo = true;
        const auto undone = repair(again);
        ASSERT_TRUE(undone.ok()) << undone.error().explain();
        ASSERT_EQ(test::manifest(guest.path()), original);
    }
}

// Killed before each call: every file named has its old or its new content then, the next repair ends as an undisturbed
// one, and an undo gives the original.
void kill_windows_everywhere(const std::function<void(const test::FakeRoot&)>& fill,
                             const std::function<RepairRequest(const test::FakeRoot&)>& request_of,
                             const std::vector<std::string>& files) {
    const test::FakeRoot undisturbed;
    fill(undisturbed);
    const auto original = test::manifest(undisturbed.path());
    std::map<std::string, std::string> old;
    for (const auto& file : files) old[file] = undisturbed.get(file);
    const auto whole = traced(What::Nothing, 0, 0, [&] {
        const auto report = repair(request_of(undisturbed));
        if (!report) std::fputs((report.error().explain() + "\n").c_str(), stderr);
        return report.ok() ? 0 : 1;
    });
    ASSERT_EQ(WEXITSTATUS(whole.status), 0);
    const auto wanted = without_journal(test::manifest(undisturbed.path()));
    for (const auto& file : files) ASSERT_NE(undisturbed.get(file), old[file]) << file << " is what this is about";
    ASSERT_GT(whole.calls, 20u);
    for (std::size_t n = 1; n <= whole.calls; ++n) {
        SCOPED_TRACE(fmt::format("killed before call {} of {}", n, whole.calls));
        const test::FakeRoot guest;
        fill(guest);
        auto again = request_of(guest);
        const auto killed = traced(What::Kill, n, 0, [&] { return repair(again).ok() ? 0 : 1; });
        ASSERT_TRUE(WIFSIGNALED(killed.status));
        for (const auto& file : files)
            ASSERT_TRUE(guest.get(file) == old[file] || guest.get(file) == undisturbed.get(file)) << file;
        const auto report = repair(again);
        ASSERT_TRUE(report.ok()) << report.error().explain();
        ASSERT_EQ(without_journal(test::manifest(guest.path())), wanted);
        again.undo = true;
        const auto undone = repair(again);
        ASSERT_TRUE(undone.ok()) << undone.error().explain();
        ASSERT_EQ(test::manifest(guest.path()), original);
    }
}

RepairRequest plain_request(const test::FakeRoot& guest) {
    RepairRequest request;
    request.root = guest.path();
    return request;
}

void put_plain_xp(const test::FakeRoot& guest, const std::function<void(test::TestKey&)>& add = {}) {
    auto tree = test::system_tree();
    test::add_service(tree, "atapi", 0, "SCSI miniport");
    if (add) add(tree);
    test::put_windows(guest, "/WINDOWS", test::make_hive(tree), test::software_hive(test::kXp));
    for (const char* name : {"atapi.sys", "intelide.sys", "pciidex.sys", "disk.sys"})
        test::put_driver(guest, "/WINDOWS", name);
}

TEST_F(KillTest, windows_killed_at_any_step_has_the_old_registry_or_the_new_and_the_next_repair_ends_as_ever) {
    kill_windows_everywhere([](const test::FakeRoot& guest) { put_plain_xp(guest); }, plain_request,
                            {"/WINDOWS/system32/config/SYSTEM"});
}

// In the manner of virtio-win's, written for this test.
constexpr const char* kInf =
    "[Version]\nSignature=\"$Windows NT$\"\nClass=SCSIAdapter\nClassGUID={4d36e97b-e325-11ce-bfc1-08002be10318}\n"
    "DriverVer=1/1/2019,1.0.0.0\n[SourceDisksNames]\n1=d\n[SourceDisksFiles]\nviostor.sys=1\n[DestinationDirs]\n"
    "DefaultDestDir=12\n[Manufacturer]\nV=M,NTx86\n[M.NTx86]\nd=i,PCI\\VEN_1AF4&DEV_1001\n[i]\nCopyFiles=@viostor.sys\n"
    "[i.Services]\nAddService=viostor,2,s\n[s]\nServiceType=1\nStartType=0\nErrorControl=1\n"
    "ServiceBinary=%12%\\viostor.sys\nLoadOrderGroup=SCSI miniport\n";

TEST_F(KillTest, windows_with_another_hal_drop_in_drivers_and_a_users_hive_is_old_or_new_file_by_file) {
    constexpr patches::FileVersion kSp3{5, 1, 2600, 5512};
    const test::FakeRoot library;
    for (const char* name : {"halacpi.dll", "ntoskrnl.exe"})
        ASSERT_TRUE(patches::add_to_library(library.path(), as_bytes(patches::test::make_pe(name, kSp3, 0x0409))).ok());
    const std::string user = "/WINDOWS/Profiles/Default User/NTUSER.DAT";
    const auto fill_it = [&](const test::FakeRoot& guest) {
        put_plain_xp(guest, [](test::TestKey& tree) {
            tree.key("ControlSet001\\Enum\\Root\\ACPI_HAL\\0000")
                .set("HardwareID", windows::reg_multi_sz({"acpiapic_mp"}));
        });
        guest.put("/WINDOWS/system32/hal.dll", patches::test::make_pe("halmacpi.dll", kSp3, 0x0409));
        guest.put("/WINDOWS/system32/ntoskrnl.exe", patches::test::make_pe("ntkrnlmp.exe", kSp3, 0x0409));
        guest.put("/boot.ini",
                  "[operating systems]\r\nmulti(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"XP\" /HAL=halx.dll /3GB\r\n");
        guest.put("/WINDOWS/system32/halx.dll", patches::test::make_pe("halmacpi.dll", kSp3, 0x0409));
        test::TestKey tree;
        tree.key("Software\\Microsoft\\Windows\\CurrentVersion\\Run").set("VBoxTray", windows::reg_sz("VBoxTray.exe"));
        guest.put(user, test::make_hive(tree));
    };
    const auto request_of = [&](const test::FakeRoot& guest) {
        auto request = plain_request(guest);
        request.target = TargetController::VirtioBlk;
        request.fix_hal = patches::FixHal::Acpi;
        request.patch_directories = {library.path()};
        request.driver_files = {{"viostor/xp/x86/viostor.inf", kInf}, {"viostor/xp/x86/viostor.sys", "driver"}};
        return request;
    };
    kill_windows_everywhere(
        fill_it, request_of,
        {"/WINDOWS/system32/config/SYSTEM", "/WINDOWS/system32/config/SOFTWARE", user, "/boot.ini",
         "/WINDOWS/system32/hal.dll", "/WINDOWS/system32/ntoskrnl.exe", "/WINDOWS/system32/drivers/viostor.sys"});
}

TEST_F(KillTest, windows_with_a_boot_store_that_its_logs_complete_is_old_or_new_and_never_half_replayed) {
    const std::string loader = "{11111111-2222-3333-4444-555555555555}", file = "/Boot/BCD";
    test::TestKey store;
    store.key("Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Elements\\23000003")
        .set("Element", windows::reg_sz(loader));
    store.key("Objects\\" + loader + "\\Description").set("Type", windows::reg_dword(0x10200003));
    const auto before = test::make_hive(store);
    auto hive = windows::Hive::open(before, "BCD").value();
    ASSERT_TRUE(hive.set("title", "Objects\\" + loader + "\\Elements\\12000004", "Element", windows::reg_sz("7")).ok());
    const auto stopped = test::stopped_new_log(before, {hive.bytes().value()});
    const auto fill_it = [&](const test::FakeRoot& guest) {
        auto tree = test::system_tree();
        for (const char* name : {"atapi", "intelide"}) test::add_service(tree, name, 0, "SCSI miniport");
        tree.key("ControlSet001\\Control\\CriticalDeviceDatabase\\pci#ven_8086&dev_7010")
            .set("Service", windows::reg_sz("intelide"));
        const auto system = test::make_hive(tree);
        test::put_windows(guest, "/WINDOWS", system, test::software_hive(test::kSeven));
        test::put_all_drivers(guest, "/WINDOWS", system);
        guest.put(file, stopped.hive);
        for (std::size_t i = 0; i < stopped.logs.size(); ++i)
            guest.put(file + ".LOG" + std::to_string(i + 1), stopped.logs[i]);
    };
    const auto request_of = [](const test::FakeRoot& guest) {
        auto request = plain_request(guest);
        request.fix_hal = patches::FixHal::Acpi;
        return request;
    };
    kill_windows_everywhere(fill_it, request_of, {"/WINDOWS/system32/config/SYSTEM", file});
}

// A Windows whose disk is a file, with an MBR and a boot sector that count cylinders as no BIOS does.
class WindowsOnDisk {
public:
    WindowsOnDisk() {
        put_plain_xp(guest);
        std::string mbr(512, '\0'), boot(512, '\0');
        mbr.replace(0x1b8, 4, "\x50\xd3\x50\xd3");
        mbr.replace(0x1be, 16, std::string("\x80\x20\x21\x00\x07\xff\xe0\x31\x00\x08\x00\x00\xa0\x86\x01\x00", 16));
        boot.replace(3, 8, "NTFS    ");
        boot.replace(0x0b, 2, std::string("\x00\x02", 2));
        boot.replace(0x18, 4, std::string("\x20\x00\x40\x00", 4));
        for (auto* sector : {&mbr, &boot}) sector->replace(510, 2, "\x55\xaa");
        std::ofstream(file(), std::ios::binary) << mbr << std::string(kStart - 512, '\0') << boot;
        grow(64u << 20);
    }
    // As when it was laid down again on a larger one: the BIOS counts other cylinders then.
    void grow(std::uint64_t size) {
        fs::resize_file(file(), size);
        root.volumes = {{.index = 1, .offset = kStart, .length = 51'200'000, .filesystem = "ntfs"}};
        root.volumes[0].uuid = std::to_string(size);
        root.path = guest.path();
        root.windows = windows::MountedWindows{.root = "/WINDOWS", .disk = file()};
        auto disk = disks::open_disk(file(), disks::OpenMode::ReadOnly).value();
        windows::DiskPlace place;
        place.layout = disks::read_layout(*disk).value();
        place.disk_size = size;
        place.windows_partition = place.boot_partition = 1;
        root.windows->place = place;
    }
    Result<RepairReport> repair(bool undo = false, const std::function<void(const std::string&)>& note = {}) {
        RepairRequest request;
        request.root = guest.path();
        request.undo = undo;
        return windows::repair_windows_root(
            request, root, note ? note : [](const std::string&) {});
    }
    std::string sectors() const {
        std::ifstream stream(file(), std::ios::binary);
        std::string all(kStart + 512, '\0');
        stream.read(all.data(), static_cast<std::streamsize>(all.size()));
        return all;
    }
    static constexpr std::uint64_t kLarger = 2'000'000'000 / 512 * 512;

    test::FakeRoot guest;

private:
    static constexpr std::uint64_t kStart = 1u << 20;
    fs::path file() const { return dir_ / "disk.img"; }
    TempDir dir_ = TempDir::create("windows-on-disk").value();
    MountedRoot root;
};

TEST_F(KillTest, of_a_second_repair_of_windows_that_is_killed_its_own_sectors_alone_go_back) {
    WindowsOnDisk undisturbed;
    const auto original = test::manifest(undisturbed.guest.path());
    const auto old_sectors = undisturbed.sectors();
    ASSERT_TRUE(undisturbed.repair().ok());
    const auto first = undisturbed.sectors();
    ASSERT_NE(first, old_sectors);
    undisturbed.grow(WindowsOnDisk::kLarger);
    const auto whole = traced(What::Nothing, 0, 0, [&] { return code_of(undisturbed.repair()); });
    ASSERT_EQ(WEXITSTATUS(whole.status), 0);
    const auto second = undisturbed.sectors();
    ASSERT_NE(second, first);
    std::size_t killed_after_the_sectors = 0;
    for (std::size_t n = 1; n <= whole.calls; ++n) {
        SCOPED_TRACE(fmt::format("killed before call {} of {}", n, whole.calls));
        WindowsOnDisk windows;
        ASSERT_TRUE(windows.repair().ok());
        windows.grow(WindowsOnDisk::kLarger);
        const auto killed = traced(What::Kill, n, 0, [&] { return code_of(windows.repair()); });
        ASSERT_TRUE(WIFSIGNALED(killed.status));
        const bool written = windows.sectors() == second;
        // With every other kill an undo of all comes next, with the others a repair.
        if (n % 2 == 0) {
            std::string begun;
            const auto report = windows.repair(false, [&](const std::string& step) {
                if (step == "registry") begun = windows.sectors();
            });
            ASSERT_TRUE(report.ok()) << report.error().explain();
            ASSERT_TRUE(begun == first || begun == second);
            if (written && begun == first) ++killed_after_the_sectors;
            ASSERT_EQ(windows.sectors(), second);
        }
        const auto undone = windows.repair(true);
        ASSERT_TRUE(undone.ok()) << undone.error().explain();
        ASSERT_EQ(windows.sectors(), old_sectors);
        ASSERT_EQ(test::manifest(windows.guest.path()), original);
    }
    EXPECT_GT(killed_after_the_sectors, 0u);
}

// However it came to stay: the numbers of runs that did not finish are given again.
TEST_F(KillTest, record_of_sectors_of_a_repair_that_did_not_finish_is_not_carried_on) {
    WindowsOnDisk windows;
    windows::SectorEdit left{0, "an unfinished repair's", Bytes(512, std::byte{7}), {}, 1};
    const auto now = windows.sectors();
    left.after = Bytes(as_bytes(now).begin(), as_bytes(now).begin() + 512);
    windows.guest.put("/WINDOWS/slipway/sectors.json", windows::to_json({left}));
    const auto report = windows.repair();
    ASSERT_TRUE(report.ok()) << report.error().explain();
    const auto record = windows::parse_sectors(windows.guest.get("/WINDOWS/slipway/sectors.json"));
    ASSERT_TRUE(record.ok()) << record.error().explain();
    EXPECT_THAT(*record, testing::SizeIs(2));
    for (const auto& edit : *record) EXPECT_EQ(edit.what.find("unfinished"), edit.what.npos);
    ASSERT_TRUE(windows.repair(true).ok());
    EXPECT_EQ(windows.sectors(), now);
}

TEST_F(KillTest, undo_killed_at_any_step_is_brought_to_its_end_by_the_next) {
    for (std::size_t n = 1; n < 1000; ++n) {
        SCOPED_TRACE(fmt::format("killed before call {}", n));
        const test::FakeRoot guest;
        fill(guest);
        const auto original = test::manifest(guest.path());
        auto request = request_for(guest);
        ASSERT_TRUE(repair(request).ok());
        request.undo = true;
        const auto killed = traced(What::Kill, n, 0, [&] { return code_of(repair(request)); });
        const auto undone = repair(request);
        ASSERT_TRUE(undone.ok()) << undone.error().explain();
        ASSERT_EQ(test::manifest(guest.path()), original);
        if (!WIFSIGNALED(killed.status)) {
            ASSERT_GT(n, 20u);
            return;
        }
    }
    FAIL() << "an undo without end";
}

// The disk is full for one call, and from one call on. Nothing may be left of the repair then.
void sweep_full_disk(What what, const std::function<RepairRequest(const test::FakeRoot&)>& request_for,
                     const std::function<void(const test::FakeRoot&)>& fill,
                     const std::function<int(const Result<RepairReport>&)>& code_of) {
    for (std::size_t n = 1; n < 1000; ++n) {
        SCOPED_TRACE(fmt::format("no space from call {}", n));
        const test::FakeRoot guest;
        fill(guest);
        const auto original = test::manifest(guest.path());
        const auto request = request_for(guest);
        const auto ended = traced(what, n, ENOSPC, [&] { return code_of(repair(request)); });
        ASSERT_TRUE(WIFEXITED(ended.status));
        if (ended.calls < n) {
            ASSERT_GT(n, 30u);
            return;
        }
        // Attributes and the note of what was looked at are not worth a failure.
        if (WEXITSTATUS(ended.status) == 0) continue;
        EXPECT_EQ(WEXITSTATUS(ended.status), 3);
        ASSERT_EQ(test::manifest(guest.path()), original);
    }
}

TEST_F(KillTest, full_disk_at_any_one_call_changes_nothing) {
    sweep_full_disk(What::FailOnce, request_for, fill, code_of);
}

TEST_F(KillTest, disk_that_stays_full_changes_nothing) {
    sweep_full_disk(What::FailFromHere, request_for, fill, code_of);
}

#endif

}  // namespace
