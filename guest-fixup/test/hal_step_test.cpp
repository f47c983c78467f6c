// SPDX-License-Identifier: GPL-3.0-or-later
// HAL and kernel exchanged in a tree of files, with the registry of a real Windows XP or one made here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_root.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/system.hpp"
#include "lib/patches/errors.hpp"
#include "lib/patches/hal_policy.hpp"
#include "lib/patches/test/media.hpp"
#include "registry_trees.hpp"

using namespace slipway;
using namespace slipway::fixup;
using namespace slipway::fixup::windows;
using patches::FileVersion;
using patches::FixHal;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

const FileVersion kSp3{5, 1, 2600, 5512}, kHotfix{5, 1, 2600, 6419}, kNt4{4, 0, 1381, 7};
const std::string kDevice = "ControlSet001\\Enum\\Root\\ACPI_HAL\\0000";

class HalStep : public testing::Test {
protected:
    void SetUp() override {
        install("HAL.DLL", "halmacpi.dll", kSp3);  // its spelling on the disk
        install("ntoskrnl.exe", "ntkrnlmp.exe", kHotfix);
        install("ntkrnlpa.exe", "ntkrpamp.exe", kHotfix);
        root_.put("/boot.ini",
                  "[boot loader]\r\ndefault=multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n[operating systems]\r\n"
                  "multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"XP\" /fastdetect\r\n");
        test::TestKey tree;
        tree.key(kDevice).set("HardwareID", reg_multi_sz({"acpiapic_mp"})).set("Service", reg_sz("\\Driver\\ACPI_HAL"));
        system_ = test::make_hive(tree);
        request_.patch_directories = {library_.path()};
    }

    void install(const std::string& name, const std::string& original, FileVersion version,
                 std::uint16_t language = 0x0407) {
        root_.put("/WINDOWS/system32/" + name, patches::test::make_pe(original, version, language));
    }
    void stock(const std::string& name, FileVersion version, std::uint16_t language = 0x0407) {
        const auto file = patches::test::make_pe(name, version, language);
        ASSERT_TRUE(patches::add_to_library(library_.path(), as_bytes(file)).ok());
    }
    void stock_uniprocessor() {
        stock("halacpi.dll", kSp3);
        stock("ntoskrnl.exe", kHotfix);
        stock("ntkrnlpa.exe", kHotfix);
    }
    std::string original_name_of(const std::string& name) const {
        return patches::read_pe_version(as_bytes(root_.get("/WINDOWS/system32/" + name))).value().original_name;
    }

    // One repair; the hive is as it was written last.
    Status repair(FixHal fix) {
        request_.fix_hal = fix;
        report_ = {};
        auto guest = Guest::open(root_.path(), request_.dry_run).value();
        auto system = Hive::open(system_, "SYSTEM").value();
        auto software = Hive::open(test::empty_hive(), "SOFTWARE").value();
        WindowsRepair step{.request = request_,
                           .guest = guest,
                           .windows = windows_,
                           .system = system,
                           .software = software,
                           .report = report_,
                           .note = {}};
        auto done = repair_hal(step);
        report_.journal = guest.journal();
        report_.journal.insert(report_.journal.end(), system.journal().begin(), system.journal().end());
        if (done && system.changed()) system_ = system.bytes().value();
        return done;
    }
    std::vector<std::string> changed() const {
        std::vector<std::string> out;
        for (const auto& change : report_.journal) out.push_back(change.where);
        return out;
    }

    test::FakeRoot root_, library_;
    RepairRequest request_;
    RepairReport report_;
    WindowsSystem windows_{.root = "/WINDOWS",
                           .product = "Windows XP",
                           .major = 5,
                           .minor = 1,
                           .build = 2600,
                           .control_set = "ControlSet001"};
    std::string system_;
};

TEST_F(HalStep, the_set_is_exchanged_under_the_installed_names_and_a_second_run_changes_nothing) {
    stock_uniprocessor();
    ASSERT_TRUE(repair(FixHal::Acpi).ok());
    EXPECT_EQ(original_name_of("HAL.DLL"), "halacpi.dll");
    EXPECT_EQ(original_name_of("ntoskrnl.exe"), "ntoskrnl.exe");
    EXPECT_EQ(original_name_of("ntkrnlpa.exe"), "ntkrnlpa.exe");
    EXPECT_FALSE(root_.has("/WINDOWS/system32/hal.dll"));
    EXPECT_EQ(Hive::open(system_, "SYSTEM")->strings(kDevice, "HardwareID"), (std::vector<std::string>{"acpipic_up"}));
    EXPECT_THAT(changed(), ElementsAre("/WINDOWS/system32/HAL.DLL", "/WINDOWS/system32/ntoskrnl.exe",
                                       "/WINDOWS/system32/ntkrnlpa.exe", HasSubstr("HardwareID")));
    const auto files = root_.everything();
    for (auto fix : {FixHal::Acpi, FixHal::Auto}) {
        ASSERT_TRUE(repair(fix).ok());
        EXPECT_THAT(changed(), IsEmpty());
        EXPECT_EQ(root_.everything(), files);
    }
}

TEST_F(HalStep, missing_files_are_named_by_version_language_and_folder_and_nothing_is_changed) {
    stock("halacpi.dll", kSp3);
    stock("ntoskrnl.exe", kSp3);             // not the hotfix's
    stock("ntkrnlpa.exe", kHotfix, 0x0409);  // not the language
    const auto before = root_.everything();
    const auto done = repair(FixHal::Acpi);
    ASSERT_FALSE(done.ok());
    EXPECT_TRUE(done.error().is(errors::kPatches));
    const auto text = done.error().explain();
    EXPECT_THAT(text, HasSubstr("ntoskrnl.exe 5.1.2600.6419 (0407, German) in " + library_.path().string() +
                                "/Source/5.1.2600.6419/0407"));
    EXPECT_THAT(text, HasSubstr("ntkrnlpa.exe 5.1.2600.6419 (0407, German)"));
    EXPECT_THAT(text, testing::Not(HasSubstr("halacpi.dll")));
    EXPECT_THAT(text, HasSubstr("vmpatch"));
    EXPECT_EQ(root_.everything(), before);
    EXPECT_THAT(changed(), IsEmpty());
}

TEST_F(HalStep, what_the_library_here_has_not_is_asked_for_by_its_key_and_nothing_else) {
    stock("ntkrnlpa.exe", kHotfix);
    std::vector<std::string> asked;
    request_.patch_supply = [&](const patches::FileKey& key) -> Result<std::optional<std::string>> {
        asked.push_back(key.text());
        return std::optional(patches::test::make_pe(key.name, key.version, key.language));
    };
    ASSERT_TRUE(repair(FixHal::Acpi).ok());
    EXPECT_THAT(asked,
                ElementsAre("halacpi.dll 5.1.2600.5512 (0407, German)", "ntoskrnl.exe 5.1.2600.6419 (0407, German)"));
    EXPECT_EQ(original_name_of("HAL.DLL"), "halacpi.dll");
    EXPECT_EQ(original_name_of("ntoskrnl.exe"), "ntoskrnl.exe");
    ASSERT_TRUE(repair(FixHal::Acpi).ok());
    EXPECT_THAT(changed(), IsEmpty());
}

TEST_F(HalStep, what_comes_is_looked_at_and_another_file_or_none_changes_nothing) {
    const auto before = root_.everything();
    const auto with = [&](const std::function<std::optional<std::string>(const patches::FileKey&)>& give) {
        request_.patch_supply = [=](const patches::FileKey& key) -> Result<std::optional<std::string>> {
            return give(key);
        };
        const auto done = repair(FixHal::Acpi);
        EXPECT_EQ(root_.everything(), before);
        EXPECT_THAT(changed(), IsEmpty());
        return done.ok() ? std::string() : done.error().explain();
    };
    const auto sound = [](const patches::FileKey& key, FileVersion version) {
        return patches::test::make_pe(key.name, version, key.language);
    };
    EXPECT_THAT(with([&](const auto& key) { return sound(key, kSp3); }),
                HasSubstr("for ntoskrnl.exe 5.1.2600.6419 (0407, German) came ntoskrnl.exe 5.1.2600.5512"));
    EXPECT_THAT(with([&](const auto& key) { return sound(key, key.version).substr(0, 600); }),
                HasSubstr("what came for halacpi.dll"));
    EXPECT_THAT(with([](const auto&) { return std::optional<std::string>(); }),
                HasSubstr("ntkrnlpa.exe 5.1.2600.6419 (0407, German) in"));
}

TEST_F(HalStep, auto_and_none_leave_a_hal_that_runs) {
    const auto before = root_.everything();
    for (auto fix : {FixHal::Auto, FixHal::None}) {
        ASSERT_TRUE(repair(fix).ok());
        EXPECT_THAT(changed(), IsEmpty());
        EXPECT_THAT(report_.warnings, IsEmpty());
    }
    EXPECT_EQ(root_.everything(), before);
}

TEST_F(HalStep, a_dry_run_says_the_same_and_writes_nothing) {
    stock_uniprocessor();
    request_.dry_run = true;
    const auto before = root_.everything();
    ASSERT_TRUE(repair(FixHal::Acpi).ok());
    EXPECT_THAT(changed(), testing::SizeIs(4));
    EXPECT_EQ(root_.everything(), before);
}

TEST_F(HalStep, files_that_boot_ini_names_are_replaced_and_the_switches_go) {
    root_.put("/BOOT.INI",
              "[operating systems]\r\nscsi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"XP\" /HAL=halx.dll "
              "/KERNEL=..\\..\\x.exe /3GB\r\n");
    std::filesystem::remove(root_.path() / "boot.ini");
    install("halx.dll", "halvendor.dll", kSp3);
    ASSERT_TRUE(repair(FixHal::Auto).ok()) << "hal.dll and the kernels match already";
    EXPECT_EQ(root_.get("/BOOT.INI"),
              "[operating systems]\r\nmulti(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"XP\" /3GB\r\n");
    EXPECT_THAT(changed(), ElementsAre("/BOOT.INI", "/BOOT.INI"));
    ASSERT_TRUE(repair(FixHal::Auto).ok());
    EXPECT_THAT(changed(), IsEmpty());
}

TEST_F(HalStep, nt4_becomes_uniprocessor_and_its_setup_log_says_so) {
    windows_ = {
        .root = "/WINDOWS", .product = "Windows NT 4", .major = 4, .build = 1381, .control_set = "ControlSet001"};
    std::filesystem::remove(root_.path() / "WINDOWS/system32/ntkrnlpa.exe");
    install("HAL.DLL", "halmps.dll", kNt4);
    install("ntoskrnl.exe", "ntkrnlmp.exe", kNt4);
    system_ = test::empty_hive(3);
    root_.put("/WINDOWS/repair/SETUP.LOG",
              "[Files.WinNt]\r\n\\WINDOWS\\system32\\hal.dll = \"halmps.dll\",\"1a01c\"\r\n"
              "\\WINDOWS\\system32\\ntoskrnl.exe = \"ntkrnlmp.exe\",\"d7a5f\"\r\n");
    stock("hal.dll", kNt4);
    stock("ntoskrnl.exe", kNt4);
    ASSERT_TRUE(repair(FixHal::Nacpi).ok());
    EXPECT_EQ(original_name_of("HAL.DLL"), "hal.dll");
    const auto checksum = [&](const char* name) {
        return fmt::format("{:x}",
                           patches::pe_checksum(as_bytes(root_.get(std::string("/WINDOWS/system32/") + name))).value());
    };
    EXPECT_EQ(root_.get("/WINDOWS/repair/SETUP.LOG"),
              "[Files.WinNt]\r\n\\WINDOWS\\system32\\hal.dll = \"hal.dll\",\"" + checksum("HAL.DLL") +
                  "\"\r\n\\WINDOWS\\system32\\ntoskrnl.exe = \"ntoskrnl.exe\",\"" + checksum("ntoskrnl.exe") +
                  "\"\r\n");
    ASSERT_TRUE(repair(FixHal::Nacpi).ok());
    EXPECT_THAT(changed(), IsEmpty());
}

TEST_F(HalStep, to_the_standard_pc_the_device_keeps_its_id_and_the_risk_is_said) {
    stock("hal.dll", kSp3);
    stock_uniprocessor();
    const auto before = system_;
    ASSERT_TRUE(repair(FixHal::Nacpi).ok());
    EXPECT_EQ(original_name_of("HAL.DLL"), "hal.dll");
    EXPECT_EQ(system_, before);
    EXPECT_THAT(report_.warnings, ElementsAre(HasSubstr("0x7B")));
    ASSERT_TRUE(repair(FixHal::Nacpi).ok());
    EXPECT_THAT(changed(), IsEmpty());
    EXPECT_EQ(system_, before);
    EXPECT_THAT(report_.warnings, IsEmpty());
}

TEST_F(HalStep, each_family_has_its_own_device_and_only_the_new_hals_gets_its_id) {
    stock("hal.dll", kSp3);
    stock_uniprocessor();
    const std::string other = "ControlSet001\\Enum\\Root\\PCI_HAL\\0000";
    auto hive = Hive::open(system_, "SYSTEM").value();
    ASSERT_TRUE(hive.set("it was an MPS machine once", other, "HardwareID", reg_multi_sz({"mps_mp", "more"})).ok());
    system_ = hive.bytes().value();
    const auto ids = [&](const std::string& key) {
        return Hive::open(system_, "SYSTEM")->strings(key, "HardwareID").value();
    };
    for (int run = 0; run < 2; ++run) {
        ASSERT_TRUE(repair(FixHal::Nacpi).ok());
        EXPECT_EQ(changed().empty(), run == 1);
        EXPECT_THAT(ids(other), ElementsAre("e_isa_up", "more"));
        EXPECT_THAT(ids(kDevice), ElementsAre("acpiapic_mp"));
    }
    for (int run = 0; run < 2; ++run) {
        ASSERT_TRUE(repair(FixHal::Acpi).ok());
        EXPECT_EQ(changed().empty(), run == 1);
        EXPECT_THAT(ids(other), ElementsAre("e_isa_up", "more"));
        EXPECT_THAT(ids(kDevice), ElementsAre("acpipic_up"));
    }
}

const std::string kLoader = "{11111111-2222-3333-4444-555555555555}";

std::string boot_store() {
    test::TestKey store;
    store.key("Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Elements\\23000003").set("Element", reg_sz(kLoader));
    store.key("Objects\\" + kLoader + "\\Description").set("Type", reg_dword(0x10200003));
    return test::make_hive(store);
}

const std::string kDetects = "Objects\\" + kLoader + "\\Elements\\26000010";

TEST_F(HalStep, vista_is_told_to_choose_its_hal_at_each_start) {
    windows_.major = 6;
    windows_.minor = 0;
    root_.put("/Boot/BCD", boot_store());
    ASSERT_TRUE(repair(FixHal::Acpi).ok());
    EXPECT_THAT(changed(), ElementsAre("BCD\\" + kDetects + ": Element"));
    const auto after = Hive::open(root_.get("/Boot/BCD"), "BCD").value();
    EXPECT_EQ(after.get(kDetects, "Element"), reg_binary(std::string("\1", 1)));
    ASSERT_TRUE(repair(FixHal::Acpi).ok());
    EXPECT_THAT(changed(), IsEmpty());
    EXPECT_TRUE(repair(FixHal::Nacpi).error().is(patches::errors::kHal));
}

TEST_F(HalStep, a_boot_store_that_was_not_written_to_its_end_is_completed_from_its_logs_first) {
    windows_.major = 6;
    windows_.minor = 1;
    const auto before = boot_store();
    const std::string title = "Objects\\" + kLoader + "\\Elements\\12000004";
    auto hive = Hive::open(before, "BCD").value();
    ASSERT_TRUE(hive.set("an entry's title", title, "Element", reg_sz("Windows 7")).ok());
    const auto stopped = test::stopped_new_log(before, {hive.bytes().value()});
    root_.put("/Boot/BCD", stopped.hive);
    for (std::size_t i = 0; i < stopped.logs.size(); ++i)
        root_.put("/Boot/BCD.LOG" + std::to_string(i + 1), stopped.logs[i]);
    const auto done = repair(FixHal::Acpi);
    ASSERT_TRUE(done.ok()) << done.error().explain();
    const auto after = Hive::open(root_.get("/Boot/BCD"), "BCD").value();
    EXPECT_EQ(after.string(title, "Element"), "Windows 7");
    EXPECT_EQ(after.get(kDetects, "Element"), reg_binary(std::string("\1", 1)));
    for (std::size_t i = 0; i < stopped.logs.size(); ++i)
        EXPECT_EQ(root_.get("/Boot/BCD.LOG" + std::to_string(i + 1)), "") << "Windows would replay it again";
    ASSERT_TRUE(repair(FixHal::Acpi).ok());
    EXPECT_THAT(changed(), IsEmpty());
}

TEST_F(HalStep, in_the_hive_of_a_real_windows_xp_the_one_value_alone_changes) {
    const auto real = test::shared_hive("hives/bitcurator-SYSTEM");
    if (!real) GTEST_SKIP() << "no shared hives";
    system_ = *real;
    install("HAL.DLL", "halaacpi.dll", kSp3);
    install("ntoskrnl.exe", "ntoskrnl.exe", kHotfix);
    install("ntkrnlpa.exe", "ntkrnlpa.exe", kHotfix);
    stock("halacpi.dll", kSp3);
    ASSERT_TRUE(repair(FixHal::Acpi).ok());
    const auto diff = test::diff_hives(*real, system_);
    EXPECT_THAT(diff.removed, ElementsAre(HasSubstr("ACPI_HAL\\0000: HardwareID"))) << test::to_text(diff);
    EXPECT_THAT(diff.added, ElementsAre(HasSubstr("ACPI_HAL\\0000: HardwareID"))) << test::to_text(diff);
}

}  // namespace
