// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "agent-ramdisk/builder/builder.hpp"
#include "agent-ramdisk/builder/cpio.hpp"
#include "agent-ramdisk/builder/drivers.hpp"
#include "agent-ramdisk/builder/elf.hpp"
#include "agent-ramdisk/builder/errors.hpp"
#include "agent-ramdisk/builder/modinfo.hpp"
#include "agent-ramdisk/builder/modules.hpp"
#include "agent-ramdisk/builder/test/phony_kernel.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::builder;
namespace fs = std::filesystem;

namespace {

bool missing(const char* program) { return !run_checked({"sh", "-c", std::string("command -v ") + program}).ok(); }

const ModuleTexts kTexts{
    .dep =
        "kernel/drivers/scsi/megaraid/megaraid_sas.ko: kernel/drivers/scsi/scsi_mod.ko\n"
        "kernel/drivers/scsi/scsi_mod.ko:\n"
        "kernel/drivers/scsi/sd_mod.ko: kernel/drivers/scsi/scsi_mod.ko\n"
        "kernel/drivers/net/ethernet/intel/e1000/e1000.ko:\n"
        "kernel/drivers/net/ethernet/realtek/r8169.ko:\n"
        "kernel/drivers/net/phy/realtek.ko: kernel/drivers/net/phy/libphy.ko\n"
        "kernel/drivers/net/phy/libphy.ko:\n"
        "kernel/fs/ext4/ext4.ko: kernel/fs/mbcache.ko\n"
        "kernel/fs/mbcache.ko:\n"
        "kernel/fs/xfs/xfs.ko:\n"
        "kernel/crypto/crc32c_generic.ko:\n"
        "kernel/drivers/usb/storage/usb-storage.ko: kernel/drivers/scsi/scsi_mod.ko\n"
        "kernel/sound/pci/hda/snd-hda-intel.ko:\n",
    .alias =
        "# comment\n"
        "alias pci:v00001000d0000005Bsv*sd*bc*sc*i* megaraid_sas\n"
        "alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000\n"
        "alias pci:v000010ECd00008168sv*sd*bc*sc*i* r8169\n"
        "alias pci:v00008086d*sv*sd*bc04sc03i00* snd_hda_intel\n"
        "alias crypto-crc32c crc32c_generic\n",
    .softdep = "softdep r8169 pre: realtek\nsoftdep ext4 pre: crypto-crc32c\n",
    .builtin = "kernel/net/packet/af_packet.ko\n",
};

gatherhw::Inventory machine(std::vector<std::string> modaliases) {
    gatherhw::Inventory i;
    i.modaliases = std::move(modaliases);
    return i;
}

const char* kMegaraid = "pci:v00001000d0000005Bsv00001028sd00001F2Dbc01sc04i00";
const char* kE1000 = "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00";

}  // namespace

TEST(Cpio, is_what_cpio_reads) {
    if (missing("cpio")) GTEST_SKIP() << "cpio is not installed";
    CpioWriter out;
    out.file("usr/bin/odd", as_bytes("12345"), 0755);
    out.file("empty", {}, 0600);
    out.symlink("bin/sh", "busybox");
    out.character_device("dev/console", 0600, 5, 1);
    out.file("usr/bin/odd", as_bytes("again"), 0644);  // stays as it is
    auto archive = std::move(out).finish();
    EXPECT_EQ(archive.size() % 4, 0u);
    auto dir = TempDir::create("cpio").value();
    auto listed = run_checked({"cpio", "-itv", "--quiet"}, {.input = std::string(as_text(archive))});
    ASSERT_TRUE(listed.ok()) << listed.error().describe();
    auto done = run_checked({"cpio", "-id", "--quiet"},
                            {.input = std::string(as_text(archive)), .working_directory = dir.path()});
    ASSERT_TRUE(done.ok()) << done.error().describe();
    EXPECT_EQ(read_text_file(dir / "usr/bin/odd").value(), "12345");
    EXPECT_EQ(fs::read_symlink(dir / "bin/sh"), "busybox");
    struct stat info {};
    ASSERT_EQ(::stat((dir / "usr/bin/odd").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode, S_IFREG | 0755u);
    EXPECT_NE(listed->find("5,   1"), std::string::npos) << *listed;
}

TEST(Elf, libraries_are_those_that_ldd_names) {
    if (missing("ldd")) GTEST_SKIP() << "ldd is not installed";
    for (const char* program : {"/proc/self/exe", "/usr/bin/curl", "/usr/bin/qemu-img"}) {
        if (!fs::exists(program)) continue;
        auto real = fs::canonical(program);
        auto ours = find_libraries(real, "/");
        ASSERT_TRUE(ours.ok()) << ours.error().describe();
        std::set<std::string> names;
        for (const auto& [path, file] : *ours) names.insert(fs::path(path).filename());
        std::set<std::string> theirs;
        for (const auto& line : split(run_checked({"ldd", real}).value(), '\n')) {
            auto text = std::string(trim(line));
            if (text.empty() || text.starts_with("linux-vdso")) continue;
            theirs.insert(fs::path(text.substr(0, text.find(' '))).filename());
        }
        EXPECT_EQ(names, theirs) << program;
    }
}

TEST(Elf, a_stripped_program_still_runs) {
    auto dir = TempDir::create("elf").value();
    auto file = read_file(fs::canonical("/proc/self/exe")).value();
    auto stripped = strip_elf(file, read_elf(file).value());
    EXPECT_LT(stripped.size(), file.size());
    ASSERT_TRUE(write_file_atomic(dir / "program", stripped, 0755).ok());
    auto run = run_command({(dir / "program").string(), "--gtest_list_tests"}).value();
    EXPECT_EQ(run.exit_code, 0) << run.error_text;
    EXPECT_NE(run.output.find("a_stripped_program_still_runs"), std::string::npos);
}

TEST(Elf, damaged_files_are_refused) {
    auto file = read_file(fs::canonical("/proc/self/exe")).value();
    EXPECT_TRUE(read_elf(ByteView(file).first(1000)).error().is(errors::kElf));
    EXPECT_TRUE(read_elf(as_bytes("#!/bin/sh\n")).error().is(errors::kElf));
    EXPECT_TRUE(read_elf(ByteView(file).first(20)).error().is(errors::kElf));
    file[18] = std::byte{3};  // i386
    EXPECT_TRUE(read_elf(file).error().is(errors::kElf));
}

TEST(Modules, inventory_selects_its_drivers_with_what_they_need) {
    ModuleIndex index(kTexts);
    auto inventory = machine({kMegaraid, kE1000, "pci:v00008086d00001D20sv0sd0bc04sc03i00"});
    auto choice = choose_modules(index, &inventory);
    EXPECT_EQ(choice.note, "");
    for (const char* name : {"megaraid_sas", "scsi_mod", "sd_mod", "e1000", "ext4", "mbcache", "crc32c_generic"})
        EXPECT_TRUE(choice.names.contains(name)) << name;
    for (const char* name : {"snd_hda_intel", "r8169", "usb_storage"})
        EXPECT_FALSE(choice.names.contains(name)) << name;
    EXPECT_EQ(std::count(choice.absent.begin(), choice.absent.end(), "af_packet"), 0);  // built in
    EXPECT_EQ(std::count(choice.absent.begin(), choice.absent.end(), "vfat"), 1);
    EXPECT_FALSE(choice.names.contains("xfs"));
}

TEST(Modules, large_file_systems_come_with_volumes_that_have_them) {
    auto inventory = machine({kMegaraid, kE1000});
    inventory.volumes.push_back({.name = "sda1", .filesystem = "xfs"});
    EXPECT_TRUE(choose_modules(ModuleIndex(kTexts), &inventory).names.contains("xfs"));
    EXPECT_TRUE(choose_modules(ModuleIndex(kTexts), nullptr).names.contains("xfs"));
}

TEST(Modules, pci_ids_do_when_there_is_no_modalias) {
    gatherhw::Inventory windows;
    windows.controllers.push_back({.id = "c0", .pci = gatherhw::PciId{.vendor = 0x1000, .device = 0x5b}});
    windows.network.push_back({.name = "LAN", .pci = gatherhw::PciId{.vendor = 0x10ec, .device = 0x8168}});
    auto choice = choose_modules(ModuleIndex(kTexts), &windows);
    EXPECT_EQ(choice.note, "");
    for (const char* name : {"megaraid_sas", "r8169", "realtek", "libphy"})
        EXPECT_TRUE(choice.names.contains(name)) << name;
}

TEST(Modules, without_a_known_card_or_disk_the_default_set_is_taken) {
    ModuleIndex index(kTexts);
    EXPECT_TRUE(choose_modules(index, nullptr).names.contains("usb_storage"));
    for (auto only : {kMegaraid, kE1000}) {
        auto inventory = machine({only});
        auto choice = choose_modules(index, &inventory);
        EXPECT_FALSE(choice.note.empty());
        EXPECT_TRUE(choice.names.contains("usb_storage"));
    }
}

TEST(Modules, subset_is_what_modprobe_reads) {
    auto texts = ModuleIndex(kTexts).subset({"r8169", "realtek", "libphy"});
    EXPECT_EQ(texts.alias, "alias pci:v000010ECd00008168sv*sd*bc*sc*i* r8169\n");
    EXPECT_EQ(texts.softdep, "softdep r8169 pre: realtek\n");
    EXPECT_NE(texts.dep.find("kernel/drivers/net/phy/realtek.ko.xz: kernel/drivers/net/phy/libphy.ko.xz\n"),
              std::string::npos);
    EXPECT_EQ(texts.dep.find("e1000"), std::string::npos);
}

// Real machines: the driver that was bound to each disk controller and network card is among those we would take.
TEST(Modules, drivers_of_real_machines_are_found) {
    auto kernels = installed_kernels("/");
    if (kernels.empty()) GTEST_SKIP() << "no kernel is installed";
    const char* given = std::getenv("SLIPWAY_SHARED_DATA");
    auto data = (given ? fs::path(given) : fs::path(SLIPWAY_SOURCE_DIR) / "../shared/data") / "hw/udevadm";
    if (!fs::exists(data) || missing("xzcat")) GTEST_SKIP() << data << " or xzcat is not here";
    auto directory = fs::path("/lib/modules") / kernels.back();
    ModuleTexts texts{
        read_text_file(directory / "modules.dep").value(), read_text_file(directory / "modules.alias").value(),
        read_text_file(directory / "modules.softdep").value(), read_text_file(directory / "modules.builtin").value()};
    ModuleIndex index(texts);
    int checked = 0;
    for (const auto& entry : fs::directory_iterator(data)) {
        gatherhw::Inventory inventory;
        std::vector<std::pair<std::string, std::string>> bound;  // driver, modalias of storage and network
        std::string driver, modalias;
        for (const auto& line : split(run_checked({"xzcat", entry.path()}).value(), '\n')) {
            if (line.starts_with("E: DRIVER=")) driver = line.substr(10);
            if (line.starts_with("E: MODALIAS=")) modalias = line.substr(12);
            if (!line.empty()) continue;
            if (!modalias.empty()) inventory.modaliases.push_back(modalias);
            bool wanted =
                modalias.find("bc01sc") != std::string::npos || modalias.find("bc02sc00") != std::string::npos;
            if (modalias.starts_with("pci:") && wanted && !driver.empty()) bound.emplace_back(driver, modalias);
            driver = modalias = "";
        }
        auto choice = choose_modules(index, &inventory);
        for (auto& [name, alias] : bound) {
            std::replace(name.begin(), name.end(), '-', '_');
            if (name == "virtio_pci" || index.path_of(name).empty()) continue;
            EXPECT_TRUE(choice.names.contains(name)) << entry.path() << " " << name << " " << alias;
            auto check = check_drivers(index, inventory);
            for (const auto& m : check.missing) EXPECT_NE(m.modalias, alias) << entry.path();
            ++checked;
        }
        std::printf("%s: %zu modules%s%s\n", entry.path().filename().c_str(), choice.names.size(),
                    choice.note.empty() ? "" : ", ", choice.note.c_str());
    }
    EXPECT_GT(checked, 3);
}

TEST(Builder, what_is_missing_is_named) {
    auto dir = TempDir::create("builder").value();
    ASSERT_TRUE(write_file_atomic(dir / "agent", as_bytes("#!/bin/sh\n"), 0755).ok());
    ASSERT_TRUE(write_file_atomic(dir / "ca.pem", as_bytes("CA\n")).ok());
    BuildRequest request{.agent = dir / "agent", .ca = dir / "ca.pem", .output = dir / "out"};
    request.root = dir.path();
    EXPECT_TRUE(build_ramdisk(request).error().is(errors::kKernel));
    request.root = "/";
    if (installed_kernels("/").empty()) GTEST_SKIP() << "no kernel is installed";
    request.kernel = "1.2.3-nosuch";
    EXPECT_TRUE(build_ramdisk(request).error().is(errors::kKernel));
    request.kernel.clear();
    request.busybox = "/bin/nosuch";
    EXPECT_TRUE(build_ramdisk(request).error().is(errors::kNeeded));
    EXPECT_FALSE(fs::exists(dir / "out/ramdisk"));
}

TEST(Builder, same_files_make_the_same_ramdisk) {
    if (installed_kernels("/").empty() || !fs::exists("/bin/busybox"))
        GTEST_SKIP() << "no kernel or busybox-static is installed";
    auto dir = TempDir::create("builder").value();
    ASSERT_TRUE(write_file_atomic(dir / "ca.pem", as_bytes("CA\n")).ok());
    BuildRequest request{
        .agent = fs::canonical("/proc/self/exe"), .ca = dir / "ca.pem", .output = dir / "out", .level = 1};
    request.inventory = machine({kMegaraid, kE1000});
    auto first = build_ramdisk(request);
    ASSERT_TRUE(first.ok()) << first.error().describe();
    auto bytes = read_file(first->ramdisk).value();
    EXPECT_EQ(bytes.size(), first->ramdisk_bytes);
    EXPECT_EQ(read_file(build_ramdisk(request).value().ramdisk).value(), bytes);
    EXPECT_GT(first->libraries.size(), 2u);
    if (missing("zstd") || missing("cpio")) GTEST_SKIP() << "zstd or cpio is not installed";
    auto listed =
        run_checked({"sh", "-c", "zstd -dc \"$1\" | cpio -it --quiet", "sh", first->ramdisk.string()}).value();
    for (const char* path : {"init\n", "usr/bin/slipway-agent-da\n", "etc/slipway/ca.pem\n",
                             "lib64/ld-linux-x86-64.so.2\n", "e1000.ko.xz\n"})
        EXPECT_NE(listed.find(path), std::string::npos) << path;
}

// Without them libhivex can neither read nor write a name, and does not say so.
TEST(Builder, what_edits_registry_files_comes_with_its_character_sets) {
    const auto agent = fs::path(std::getenv("SLIPWAY_BIN") ? std::getenv("SLIPWAY_BIN") : "bin") / "slipway-fixup";
    if (!fs::exists(agent)) GTEST_SKIP() << agent << " is not built";
    if (!phony::busybox_is_static() || missing("zstd") || missing("cpio"))
        GTEST_SKIP() << "busybox-static, zstd or cpio is not installed";
    auto dir = TempDir::create("builder").value();
    phony::make_phony_kernel(dir.path());
    fs::create_directories(dir / "usr/lib/x86_64-linux-gnu");
    fs::create_directory_symlink("/lib64", dir / "lib64");
    const auto libraries = find_libraries(agent, "/").value();
    for (const auto& library : libraries)
        fs::copy_file(library.second, dir / "usr/lib/x86_64-linux-gnu" / library.second.filename(),
                      fs::copy_options::skip_existing);  // the loader is found by two paths
    BuildRequest request{.agent = agent, .output = dir / "out", .root = dir.path(), .level = 1};
    const auto refused = build_ramdisk(request);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(errors::kNeeded)) << refused.error().describe();
    fs::copy("/usr/lib/x86_64-linux-gnu/gconv", dir / "usr/lib/x86_64-linux-gnu/gconv");
    const auto built = build_ramdisk(request);
    ASSERT_TRUE(built.ok()) << built.error().describe();
    const auto listed =
        run_checked({"sh", "-c", "zstd -dc \"$1\" | cpio -it --quiet", "sh", built->ramdisk.string()}).value();
    for (const char* name : {"/gconv/gconv-modules\n", "/gconv/ISO8859-1.so\n", "/gconv/UTF-16.so\n"})
        EXPECT_NE(listed.find(name), std::string::npos) << name;
    EXPECT_EQ(listed.find("EUC"), std::string::npos);
}

TEST(Builder, repair_tools_come_when_asked_for_or_when_the_inventory_has_such_volumes) {
    if (!phony::busybox_is_static()) GTEST_SKIP() << "busybox-static is not installed";
    auto dir = TempDir::create("builder").value();
    phony::make_phony_kernel(dir.path());
    phony::put(dir / "agent", as_bytes("#!/bin/sh\n"), 0755);
    BuildRequest request{.agent = dir / "agent", .output = dir / "out", .root = dir.path(), .level = 1};
    const auto plain = build_ramdisk(request);
    ASSERT_TRUE(plain.ok()) << plain.error().describe();
    // Asked for, and not there: the package is named.
    request.repair_tools = true;
    const auto refused = build_ramdisk(request);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(errors::kNeeded));
    EXPECT_NE(refused.error().message().find("lvm2"), std::string::npos) << refused.error().message();
    // Not asked for: the ramdisk is made all the same, and says what it lacks.
    request.repair_tools = false;
    request.inventory = machine({phony::kAcme, phony::kAhci});
    request.inventory->volumes.push_back({.name = "sda2", .filesystem = "lvm2-member"});
    const auto noted = build_ramdisk(request);
    ASSERT_TRUE(noted.ok()) << noted.error().describe();
    EXPECT_NE(join(noted->notes, "\n").find("usr/sbin/cryptsetup"), std::string::npos);
    for (const char* tool : {"lvm", "dmsetup", "mdadm", "cryptsetup", "pdata_tools"})
        phony::put(dir / (std::string("usr/sbin/") + tool), as_bytes("#!/bin/sh\n"), 0755);
    const auto whole = build_ramdisk(request);
    ASSERT_TRUE(whole.ok()) << whole.error().describe();
    EXPECT_NE(whole->key, noted->key);
    EXPECT_EQ(join(whole->notes, "\n").find("usr/sbin/"), std::string::npos);
    request.inventory->volumes.back().filesystem = "ext4";
    EXPECT_NE(build_ramdisk(request)->key, whole->key);
}

TEST(Builder, ntfs_3g_and_fuse_come_for_a_machine_with_windows_on_it) {
    if (!phony::busybox_is_static()) GTEST_SKIP() << "busybox-static is not installed";
    auto dir = TempDir::create("builder").value();
    phony::make_phony_kernel(dir.path());
    phony::put(dir / "agent", as_bytes("#!/bin/sh\n"), 0755);
    BuildRequest request{.agent = dir / "agent", .output = dir / "out", .root = dir.path(), .level = 1};
    request.inventory = machine({phony::kAcme, phony::kAhci});
    request.inventory->volumes.push_back({.name = "sda1", .filesystem = "ext4"});
    const auto plain = build_ramdisk(request);
    ASSERT_TRUE(plain.ok()) << plain.error().describe();
    request.inventory->volumes.push_back({.name = "sda2", .filesystem = "NTFS"});
    const auto noted = build_ramdisk(request);
    ASSERT_TRUE(noted.ok()) << noted.error().describe();
    EXPECT_NE(join(noted->notes, "\n").find("install the package ntfs-3g"), std::string::npos);
    phony::put(dir / "usr/bin/ntfs-3g", as_bytes("#!/bin/sh\n"), 0755);
    const auto whole = build_ramdisk(request);
    ASSERT_TRUE(whole.ok()) << whole.error().describe();
    EXPECT_NE(whole->key, noted->key);
    EXPECT_EQ(join(whole->notes, "\n").find("ntfs-3g"), std::string::npos);
}
