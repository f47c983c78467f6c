// SPDX-License-Identifier: GPL-3.0-or-later
// What goes into a ramdisk: modules by what they say of themselves, drop-ins, firmware, drivers that are missing. The
// kernel is a phony one, so that none need be installed.
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent-ramdisk/builder/builder.hpp"
#include "agent-ramdisk/builder/drivers.hpp"
#include "agent-ramdisk/builder/errors.hpp"
#include "agent-ramdisk/builder/modinfo.hpp"
#include "agent-ramdisk/builder/test/phony_kernel.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::builder;
using namespace slipway::builder::phony;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

constexpr const char* kOdd = "pci:v00001234d00005678sv00000000sd00000000bc01sc04i00";

bool missing(const char* program) { return !run_checked({"sh", "-c", std::string("command -v ") + program}).ok(); }

gatherhw::Inventory machine(std::vector<std::string> modaliases) {
    gatherhw::Inventory i;
    i.modaliases = std::move(modaliases);
    return i;
}

class PhonyKernel : public testing::Test {
protected:
    TempDir dir = TempDir::create("phony").value();
    fs::path root = dir / "root", drop_ins = dir / "user/PreSystem";
    BuildRequest request;

    void SetUp() override {
        if (!busybox_is_static() || missing("xz") || missing("cpio") || missing("zstd"))
            GTEST_SKIP() << "busybox-static, xz, cpio or zstd is not installed";
        make_phony_kernel(root);
        put(dir / "agent", as_bytes("#!/bin/sh\n"), 0755);
        put(dir / "ca.pem", as_bytes("CA\n"));
        request.agent = dir / "agent";
        request.ca = dir / "ca.pem";
        request.output = dir / "boot";
        request.root = root;
        request.pre_system = drop_ins;
        request.level = 1;
    }

    BuildReport build() {
        auto report = build_ramdisk(request);
        EXPECT_TRUE(report.ok()) << report.error().describe();
        return std::move(report).value_or({});
    }
    std::string listing(const fs::path& ramdisk) {
        return run_checked({"sh", "-c", "zstd -dc \"$1\" | cpio -it --quiet", "sh", ramdisk.string()}).value_or("");
    }
    std::string content(const fs::path& ramdisk, const std::string& path) {
        return run_checked(
                   {"sh", "-c", "zstd -dc \"$1\" | cpio -i --quiet --to-stdout \"$2\"", "sh", ramdisk.string(), path})
            .value_or("");
    }
};

std::string why(const BuildReport& report, std::string_view name) {
    for (const auto& m : report.modules)
        if (m.name == name) return m.why;
    return "not there";
}

}  // namespace

TEST(ModuleInfo, is_what_the_module_says_of_itself) {
    auto info = read_module_info(seed("module"));
    ASSERT_TRUE(info.ok()) << info.error().describe();
    EXPECT_EQ(info->name, "acme");
    EXPECT_EQ(info->kernel(), kVersion);
    EXPECT_THAT(info->firmware, ElementsAre("acme/card.bin"));
    EXPECT_THAT(info->depends, ElementsAre("libphy", "mii"));
    EXPECT_THAT(info->softdeps, ElementsAre("pre: libphy"));
    EXPECT_THAT(info->aliases, ElementsAre("pci:v0000ABCDd00001234sv*sd*bc*sc*i*"));
    EXPECT_TRUE(read_module_info(seed("module-cut")).error().is(errors::kElf));
    EXPECT_TRUE(read_module_info(as_bytes("no module")).error().is(errors::kElf));
}

TEST(ModuleInfo, agrees_with_modinfo_on_real_modules) {
    auto kernels = installed_kernels("/");
    if (kernels.empty() || missing("modinfo")) GTEST_SKIP() << "no kernel or no kmod is installed";
    auto directory = fs::path("/lib/modules") / kernels.back();
    for (const char* name : {"bnx2", "e1000", "mpt3sas", "virtio_net"}) {
        auto file = run_checked({"modinfo", "-k", kernels.back(), "-n", name});
        if (!file.ok()) continue;
        auto path = file->substr(0, file->find('\n'));
        auto info = read_module_info(unpack_module(read_file(path).value(), path).value());
        ASSERT_TRUE(info.ok()) << path;
        std::string theirs = run_checked({"modinfo", "-F", "firmware", path}).value(), ours;
        for (const auto& f : info->firmware) ours += f + "\n";
        EXPECT_EQ(ours, theirs) << path;
        EXPECT_EQ(info->kernel(), kernels.back());
    }
    EXPECT_EQ(kernel_version_of(read_file("/boot/vmlinuz-" + kernels.back()).value()), kernels.back());
}

TEST(KernelImage, that_has_no_version_is_said_to_have_none) {
    EXPECT_EQ(kernel_version_of(seed("bzimage")), kVersion);
    EXPECT_EQ(kernel_version_of(as_bytes("an ELF, or nothing")), "");
    auto hostile = seed("bzimage");
    hostile[0x221] = std::byte{'/'};
    EXPECT_EQ(kernel_version_of(hostile), "");
}

TEST(Drivers, of_the_kernel_itself_count) {
    ModuleIndex index({.dep = {},
                       .alias = {},
                       .softdep = {},
                       .builtin = "kernel/drivers/ata/ahci.ko\n",
                       .builtin_modinfo = std::string(as_text(seed("builtin")))});
    EXPECT_TRUE(index.drives(kAhci, Purpose::Storage));
    EXPECT_TRUE(check_drivers(index, machine({kAhci})).may_boot());
}

TEST(Drivers, a_missing_one_of_disks_refuses_the_machine_and_names_the_id) {
    ModuleIndex index(
        {.dep = "kernel/drivers/net/acme.ko:\n", .alias = "alias pci:v0000ABCDd00001234sv*sd*bc*sc*i* acme\n"});
    auto check = check_drivers(index, machine({kAcme, kOdd}));
    EXPECT_FALSE(check.may_boot());
    ASSERT_EQ(check.missing.size(), 1u);
    EXPECT_EQ(check.missing[0].id, "1234:5678");
    EXPECT_EQ(check.text(), "no driver for disk controller 1234:5678");
    EXPECT_THAT(advice(check.missing[0], kVersion), HasSubstr("PreSystem/modules"));
    EXPECT_TRUE(check_drivers(index, machine({kAcme, kOdd}), {}, read_accepted("# old tape\n1234:5678 # x\nnonsense\n"))
                    .may_boot());
    EXPECT_TRUE(check_drivers(index, machine({})).may_boot());
}

TEST(Drivers, a_card_without_one_is_fatal_when_the_device_boots_from_it) {
    ModuleIndex index(
        {.dep = "kernel/drivers/net/acme.ko:\n", .alias = "alias pci:v0000ABCDd00001234sv*sd*bc*sc*i* acme\n"});
    gatherhw::Inventory two;
    two.network.push_back(
        {.name = "eth0", .mac = "52:54:00:51:00:01", .pci = gatherhw::PciId{.vendor = 0xabcd, .device = 0x1234}});
    two.network.push_back(
        {.name = "eth1", .mac = "52:54:00:51:00:02", .pci = gatherhw::PciId{.vendor = 0x1111, .device = 0x2222}});
    EXPECT_TRUE(check_drivers(index, two, {"52:54:00:51:00:01"}).may_boot());
    auto check = check_drivers(index, two, {"52:54:00:51:00:02"});
    EXPECT_EQ(check.text(), "no driver for network card 1111:2222 (eth1 52:54:00:51:00:02)");
    two.network.erase(two.network.begin());
    EXPECT_FALSE(check_drivers(index, two).may_boot());
}

TEST_F(PhonyKernel, a_machine_gets_its_modules_each_with_the_reason) {
    request.inventory = machine({kAcme});
    auto report = build();
    EXPECT_EQ(why(report, "acme"), "abcd:1234");
    EXPECT_EQ(why(report, "libphy"), "needed by acme");
    EXPECT_EQ(why(report, "ext4"), "in every ramdisk");
    EXPECT_EQ(report.kernel_version, kVersion);
    EXPECT_TRUE(report.built);
    auto again = report_from_json(to_json(report));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->modules.size(), report.modules.size());
    EXPECT_EQ(again->ramdisk_bytes, report.ramdisk_bytes);
}

TEST_F(PhonyKernel, an_appliance_has_its_program_and_no_agent_card_or_certificate) {
    put(dir / "slipway-fixup", as_bytes("#!/bin/sh\n"), 0755);
    request.agent.clear();
    request.ca.clear();
    request.set = ModuleSet::Appliance;
    request.programs = {dir / "slipway-fixup"};
    auto report = build();
    EXPECT_EQ(why(report, "ext4"), "in every ramdisk");
    EXPECT_EQ(why(report, "acme"), "not there");
    const auto files = listing(report.ramdisk);
    EXPECT_THAT(files, HasSubstr("usr/bin/slipway-fixup"));
    EXPECT_THAT(files, testing::Not(HasSubstr("slipway-agent-da")));
    EXPECT_THAT(files, testing::Not(HasSubstr("ca.pem")));
}

TEST_F(PhonyKernel, two_machines_of_one_make_share_a_ramdisk) {
    request.inventory = machine({kAcme, kAhci});
    request.name = "poseidon";
    auto first = build();
    request.name = "triton";
    auto second = build();
    EXPECT_FALSE(second.built);
    EXPECT_EQ(second.key, first.key);
    EXPECT_EQ(second.ramdisk_bytes, first.ramdisk_bytes);
    EXPECT_EQ(fs::hard_link_count(second.ramdisk), 3u);
    EXPECT_TRUE(fs::equivalent(first.ramdisk, second.ramdisk));
    // Another content, another file; the old one stays for the machine that has it.
    put(drop_ins / "files/etc/motd", as_bytes("hello\n"));
    auto third = build();
    EXPECT_TRUE(third.built);
    EXPECT_NE(third.key, first.key);
    EXPECT_EQ(fs::hard_link_count(first.ramdisk), 2u);
    EXPECT_TRUE(fs::exists(first.ramdisk));
}

TEST_F(PhonyKernel, unused_ramdisks_go_when_they_are_old) {
    auto first = build();
    put(dir / "agent", as_bytes("#!/bin/sh\nexit 0\n"), 0755);
    auto second = build();
    auto old = request.output / "ramdisk/by-content" / first.key;
    remove_unused(request.output);
    EXPECT_TRUE(fs::exists(old));  // just made: perhaps another process is about to name it
    for (const auto& key : {first.key, second.key})
        fs::last_write_time(request.output / "ramdisk/by-content" / key,
                            fs::file_time_type::clock::now() - std::chrono::hours(1));
    remove_unused(request.output);
    EXPECT_FALSE(fs::exists(old));
    EXPECT_TRUE(fs::exists(request.output / "ramdisk/by-content" / second.key));
}

TEST_F(PhonyKernel, firmware_that_a_module_names_comes_with_it) {
    request.inventory = machine({kAcme, kAhci});
    EXPECT_THAT(build().notes, testing::Contains(HasSubstr("acme/card.bin, which is not on this machine")));
    put(root / "lib/firmware/acme/card.bin", as_bytes("host's"));
    auto report = build();
    EXPECT_THAT(report.firmware, ElementsAre("acme/card.bin"));
    EXPECT_EQ(content(report.ramdisk, "lib/firmware/acme/card.bin"), "host's");
    put(drop_ins / "firmware/acme/card.bin", as_bytes("operator's"));
    EXPECT_EQ(content(build().ramdisk, "lib/firmware/acme/card.bin"), "operator's");
}

TEST_F(PhonyKernel, a_driver_that_was_dropped_in_makes_its_machine_bootable) {
    fs::remove(root / "lib/modules" / kVersion / "modules.alias");
    put(root / "lib/modules" / kVersion / "modules.alias", {});
    auto before = read_kernel_modules(root, kVersion, drop_ins).value();
    EXPECT_FALSE(check_drivers(before->index, machine({kAcme})).may_boot());
    put(drop_ins / "modules/vendor-1.2/acme.ko", seed("module"));
    auto after = read_kernel_modules(root, kVersion, drop_ins).value();
    EXPECT_TRUE(check_drivers(after->index, machine({kAcme})).may_boot());
    request.inventory = machine({kAcme, kAhci});
    auto report = build();
    auto list = listing(report.ramdisk);
    EXPECT_THAT(list, HasSubstr("lib/modules/6.1.0-28-amd64/updates/slipway/acme.ko.xz\n"));
    EXPECT_THAT(list, testing::Not(HasSubstr("ethernet/acme")));
    EXPECT_THAT(content(report.ramdisk, "lib/modules/6.1.0-28-amd64/modules.dep"),
                HasSubstr("updates/slipway/acme.ko.xz: kernel/drivers/net/phy/libphy.ko.xz\n"));
    EXPECT_EQ(why(report, "libphy"), "needed by acme");
}

TEST_F(PhonyKernel, drop_ins_for_nobody_are_left_out_and_said_so) {
    auto other = std::string(as_text(seed("module")));
    other.replace(other.find("vermagic=6.1.0-28"), 17, "vermagic=5.9.0-28");
    put(drop_ins / "modules/acme.ko", as_bytes(other));
    put(drop_ins / "modules/broken.ko", as_bytes("no ELF"));
    put(drop_ins / "acme.ko", seed("module"));
    ASSERT_EQ(::mkfifo((drop_ins / "files").c_str(), 0600), 0);
    auto drops = read_drop_ins(drop_ins, kVersion).value();
    EXPECT_TRUE(drops.empty());
    EXPECT_THAT(drops.notes,
                testing::UnorderedElementsAre(HasSubstr("is for Linux 5.9.0-28-amd64, not 6.1.0-28"),
                                              HasSubstr("modules/broken.ko not a 64-bit"),
                                              HasSubstr("acme.ko is in none of"), HasSubstr("files is in none of")));
    EXPECT_TRUE(read_drop_ins(dir / "nowhere", kVersion).value().empty());
}

TEST_F(PhonyKernel, a_drop_in_that_is_no_file_is_left_out_and_not_waited_for) {
    fs::create_directories(drop_ins / "modules");
    ASSERT_EQ(::mkfifo((drop_ins / "modules/x.ko").c_str(), 0600), 0);
    EXPECT_THAT(build().notes, testing::Contains(HasSubstr("modules/x.ko is no file")));
}

TEST_F(PhonyKernel, a_drop_in_replaces_no_part_of_ours) {
    request.inventory = machine({kAcme, kAhci});
    put(drop_ins / "files/init", as_bytes("evil"), 0755);
    put(drop_ins / "files/lib/modules/6.1.0-28-amd64/modules.dep", as_bytes("evil"));
    put(drop_ins / "files/etc/slipway/pre-system.d/10-vlan", as_bytes("#!/bin/sh\n"), 0755);
    auto report = build();
    EXPECT_THAT(content(report.ramdisk, "init"), HasSubstr("Process 1"));
    EXPECT_THAT(content(report.ramdisk, "lib/modules/6.1.0-28-amd64/modules.dep"), HasSubstr("acme"));
    EXPECT_THAT(report.notes, testing::Contains(HasSubstr("init is the ramdisk's own")));
    EXPECT_THAT(listing(report.ramdisk), HasSubstr("etc/slipway/pre-system.d/10-vlan\n"));
}

TEST_F(PhonyKernel, a_server_builds_for_the_kernel_it_serves_though_boot_is_closed_to_it) {
    build();
    fs::remove_all(root / "boot");
    request.kernel = kernel_version_of(read_file(request.output / "kernel").value());
    request.keep_kernel = true;
    request.name = "poseidon";
    EXPECT_EQ(build().kernel_bytes, seed("bzimage").size());
}

TEST_F(PhonyKernel, post_system_is_an_archive_with_all_its_modules_need) {
    auto folder = dir / "user/PostSystem";
    EXPECT_TRUE(build_post_system(root, kVersion, folder)->archive.empty());
    put(folder / "modules/acme.ko", seed("module"));
    put(folder / "files/etc/slipway/post-system.d/10-tape", as_bytes("#!/bin/sh\n"), 0755);
    auto post = build_post_system(root, kVersion, folder);
    ASSERT_TRUE(post.ok()) << post.error().describe();
    auto list = run_checked({"cpio", "-it", "--quiet"}, {.input = std::string(as_text(post->archive))}).value();
    for (const char* path :
         {"updates/slipway/acme.ko.xz\n", "phy/libphy.ko.xz\n", "modules.dep.post\n", "post-system.d/10-tape\n"})
        EXPECT_THAT(list, HasSubstr(path));
    EXPECT_THAT(list, testing::Not(HasSubstr("modules.dep\n")));
}

// What vmscript reads with --agentdrivers.
TEST(Drivers, what_is_missing_is_told_as_json_before_a_machine_ever_boots) {
    TempDir dir = TempDir::create("drivers").value();
    make_phony_kernel(dir.path());
    const auto kernel = read_kernel_modules(dir.path(), kVersion, {});
    ASSERT_TRUE(kernel.ok()) << kernel.error().explain();
    const auto fits = check_drivers((*kernel)->index, machine({kAcme, kAhci}));
    EXPECT_EQ(to_json(fits, kVersion), R"({"kernel_version":"6.1.0-28-amd64","missing":[]})");
    const auto odd = check_drivers((*kernel)->index, machine({kAcme, kOdd}));
    ASSERT_FALSE(odd.may_boot());
    EXPECT_THAT(to_json(odd, kVersion),
                HasSubstr(R"("missing":[{"kind":"storage","id":"1234:5678","modalias":"pci:v00001234d00005678)"));
    EXPECT_THAT(to_json(odd, kVersion),
                HasSubstr(R"("fatal":true,"why":"its disks would be left out without a word","advice":"Put a module)"));
}
