// SPDX-License-Identifier: GPL-3.0-or-later
// What --dry-run prints for a Windows: to be read by its administrator. Three plans are golden (NT 4, a real XP and a
// real 10), the others are held to what makes a plan readable.
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/options.hpp"
#include "guest-fixup/test/fake_windows.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/test/media.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

struct PlanCase {
    const char* name;
    const char* hive;  // "": made here
    test::Edition edition;
    TargetController target;
};
constexpr test::Edition k2000{"Microsoft Windows 2000", "5.0", "2195", "Service Pack 4"};

// What Windows NT 4 and 2000 have of the services that a repair looks at.
std::string made_hive() {
    auto tree = test::system_tree();
    test::add_service(tree, "atapi", 4, "SCSI miniport");
    test::add_service(tree, "intelide", 4, "System Bus Extender");
    test::add_service(tree, "pciide", 4, "System Bus Extender");
    test::add_service(tree, "disk", 0, "SCSI Class");
    test::add_service(tree, "cpqarray", 0, "SCSI miniport");
    test::add_service(tree, "processor", 1, "Extended Base");
    auto& foundation = tree.key("ControlSet001\\Services\\CpqNicMgmt");
    foundation.set("Type", windows::reg_dword(0x10)).set("Start", windows::reg_dword(2));
    foundation.set("DisplayName", windows::reg_sz("HP Insight NIC Agents"));
    return test::make_hive(tree);
}

struct Plan {
    RepairReport report;
    std::string text;
};

// Windows of before Vista has a HAL and a boot.ini as well.
void put_boot_files(const test::FakeRoot& guest, const test::Edition& edition) {
    const auto parts = split(edition.version, '.');
    const patches::FileVersion version{static_cast<std::uint16_t>(parse_u64(parts[0]).value()),
                                       static_cast<std::uint16_t>(parse_u64(parts[1]).value()),
                                       static_cast<std::uint16_t>(parse_u64(edition.build).value()), 5512};
    if (version.major > 5) return;
    const char* hal = version.major < 5 ? "hal.dll" : "halaacpi.dll";
    guest.put("/WINDOWS/system32/hal.dll", patches::test::make_pe(hal, version));
    guest.put("/WINDOWS/system32/ntoskrnl.exe", patches::test::make_pe("ntoskrnl.exe", version));
    guest.put("/boot.ini",
              "[boot loader]\r\ndefault=scsi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n[operating systems]\r\n"
              "scsi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"Windows\" /fastdetect\r\n");
}

std::optional<Plan> plan_of(const PlanCase& c) {
    const auto system = *c.hive ? test::shared_hive(c.hive) : std::optional(made_hive());
    if (!system) return std::nullopt;
    test::FakeRoot guest;
    test::put_windows(guest, "/WINDOWS", *system, test::software_hive(c.edition));
    test::put_all_drivers(guest, "/WINDOWS", *system);
    for (const char* name : {"intelide.sys", "pciidex.sys", "pciide.sys", "viostor.sys"})
        test::put_driver(guest, "/WINDOWS", name);
    put_boot_files(guest, c.edition);
    RepairRequest request;
    request.root = guest.path();
    request.target = c.target;
    request.dry_run = true;
    auto report = repair(request);
    EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().explain());
    if (!report.ok()) return Plan{};
    report->root_device = "web.img partition 1";
    return Plan{*report, to_text(*report)};
}

class WindowsPlan : public testing::TestWithParam<PlanCase> {};

}  // namespace

TEST_P(WindowsPlan, names_every_key_and_value_once_in_lines_that_can_be_read) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const auto plan = plan_of(GetParam());
    if (!plan) GTEST_SKIP() << GetParam().hive << " is not in ../shared/data";
    EXPECT_GT(plan->report.journal.size(), 5u);
    const auto lines = split(plan->text, '\n');
    EXPECT_LT(lines.size(), 2 * plan->report.journal.size());
    for (const auto& line : lines) {
        EXPECT_LT(line.size(), 280u) << line;
        EXPECT_EQ(line.find("Start: 0x"), std::string::npos) << line;
    }
    for (const auto& change : plan->report.journal) {
        const auto key = change.where.substr(0, change.where.find(": "));
        EXPECT_THAT(plan->text, HasSubstr(key.substr(key.rfind('\\') + 1)));
        EXPECT_THAT(plan->text, HasSubstr(change.what));
    }
}

// SLIPWAY_REGENERATE=1 writes it anew.
TEST_P(WindowsPlan, is_the_golden_one) {
    const std::string name = GetParam().name;
    if (name != "xp" && name != "nt4" && name != "ten") return;
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const auto plan = plan_of(GetParam());
    if (!plan) GTEST_SKIP() << GetParam().hive << " is not in ../shared/data";
    const auto path = fs::path(SLIPWAY_SOURCE_DIR) / "guest-fixup/test/golden" / ("plan-" + name + ".txt");
    if (std::getenv("SLIPWAY_REGENERATE")) {
        ASSERT_TRUE(write_file_atomic(path, as_bytes(plan->text)).ok());
    }
    EXPECT_EQ(read_text_file(path).value_or("missing"), plan->text);
}

INSTANTIATE_TEST_SUITE_P(
    Of, WindowsPlan,
    testing::Values(PlanCase{"nt4", "", test::kNt4, TargetController::Ide},
                    PlanCase{"windows_2000", "", k2000, TargetController::Ide},
                    PlanCase{"xp", "hives/bitcurator-SYSTEM", test::kXp, TargetController::Ide},
                    PlanCase{"xp_virtio", "hives/bitcurator-SYSTEM", test::kXp, TargetController::VirtioBlk},
                    PlanCase{"seven", "hives/regipy-SYSTEM", test::kSeven, TargetController::VirtioBlk},
                    PlanCase{"ten", "hives/regipy-SYSTEM_WIN_10_1709", test::kTen, TargetController::VirtioBlk}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(WindowsPlanText, long_data_is_a_size_and_no_wall_of_digits) {
    RepairReport report;
    report.journal = {{"BCD: device of {bootmgr}: a is now b", "BCD\\Objects\\{9dea862c}\\Elements\\11000001: Element",
                       "hex:sha256:" + std::string(64, 'a') + " 88", "hex:sha256:" + std::string(64, 'b') + " 88"}};
    EXPECT_THAT(to_text(report), HasSubstr("Element: 88 bytes (aaaaaaaaaaaa...) -> 88 bytes (bbbbbbbbbbbb...)\n"));
}
