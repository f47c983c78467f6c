// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "vmscript/test/phony_source.hpp"
#include "vmscript/test/rule_rows.hpp"
#include "vmscript/validation/report.hpp"
#include "vmscript/validation/validate.hpp"

using namespace slipway;
using namespace slipway::vmscript;
using namespace slipway::gatherhw;

namespace {

const Finding* find(const std::vector<Finding>& findings, const RuleRow& row) {
    for (const auto& f : findings)
        if (f.id == row.id && f.verdict == row.verdict && (f.found + " " + f.what).find(row.says) != std::string::npos)
            return &f;
    return nullptr;
}

std::string said_by(const std::vector<Finding>& findings, const std::string& id) {
    std::string out = "it says:\n";
    for (const auto& f : findings)
        if (f.id == id) out += std::string(name_of(f.verdict)) + ": " + f.what + ": " + f.found + "\n";
    return out;
}

// A rule's row fires on the spoiled machine and is silent on the good one.
void expect_rows(const std::vector<RuleRow>& rows, const Inventory& good, const char* base) {
    const auto before = validate(good, good_switches());
    for (const auto& row : rows) {
        SCOPED_TRACE(std::string(base) + ", " + row.id + ": " + row.says);
        auto inventory = good;
        auto switches = good_switches();
        Surroundings around;
        row.spoil(inventory, switches, around);
        const auto findings = validate(inventory, switches, around);
        const auto* hit = find(findings, row);
        EXPECT_NE(hit, nullptr) << said_by(findings, row.id);
        if (hit == nullptr) continue;
        if (row.verdict >= Verdict::NotChecked) {
            EXPECT_FALSE(hit->to_do.empty()) << "it says nothing to do";
        }
        EXPECT_FALSE(hit->why.empty());
        if (row.verdict >= Verdict::Note) {
            EXPECT_EQ(find(before, row), nullptr) << "it fires on the good machine too";
        }
        if (row.verdict == Verdict::Error) {
            EXPECT_EQ(exit_code_of(worst(findings)), kExitFailed);
        }
    }
}

std::vector<RuleRow> every_row() {
    auto rows = linux_rows();
    for (const auto& more : {device_rows(), windows_rows()}) rows.insert(rows.end(), more.begin(), more.end());
    return rows;
}

}  // namespace

TEST(Rules, a_good_machine_passes_in_silence) {
    for (const auto& inventory : {good_source(), good_windows()}) {
        const auto findings = validate(inventory, good_switches());
        for (const auto& f : findings) EXPECT_LE(f.verdict, Verdict::NotChecked) << f.id << ": " << f.found;
        EXPECT_EQ(exit_code_of(worst(findings)), kExitDone);
    }
}

TEST(Rules, each_finds_what_it_is_there_for_on_linux) {
    expect_rows(linux_rows(), good_source(), "linux");
    expect_rows(device_rows(), good_source(), "linux");
}

TEST(Rules, each_finds_what_it_is_there_for_on_windows) { expect_rows(windows_rows(), good_windows(), "windows"); }

TEST(Rules, each_has_a_machine_on_which_it_says_its_worst_and_none_says_worse) {
    const auto rows = every_row();
    for (const auto& rule : rules()) {
        const bool tried = std::any_of(rows.begin(), rows.end(),
                                       [&](const auto& row) { return row.id == rule.id && row.verdict == rule.worst; });
        EXPECT_TRUE(tried) << rule.id;
    }
    for (const auto& row : rows) {
        const auto* rule = find_rule(row.id);
        ASSERT_NE(rule, nullptr) << row.id;
        EXPECT_LE(row.verdict, rule->worst == Verdict::Ok ? Verdict::NotChecked : rule->worst) << row.id;
    }
}

TEST(Rules, are_a_table_without_gaps) {
    std::set<std::string_view> ids;
    for (const auto& rule : rules()) {
        EXPECT_TRUE(ids.insert(rule.id).second) << rule.id << " is there twice";
        EXPECT_EQ(rule.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string_view::npos)
            << rule.id;
        EXPECT_TRUE(rule.why.ends_with(".")) << rule.id;
        EXPECT_FALSE(rule.title.empty() || rule.title.ends_with(".")) << rule.id;
    }
    EXPECT_GE(ids.size(), 60u);
    for (auto group : all_groups())
        EXPECT_TRUE(std::any_of(rules().begin(), rules().end(), [&](const auto& r) { return r.group == group; }))
            << name_of(group);
}

// SLIPWAY_REGENERATE=1 writes the table anew.
TEST(Rules, the_page_has_the_table) {
    const auto page = std::string(SLIPWAY_SOURCE_DIR) + "/docs/validation.md";
    constexpr std::string_view kBegin = "<!-- rules: made by vmscript_test -->\n", kEnd = "<!-- end of rules -->\n";
    auto text = read_text_file(page).value_or("");
    const auto begin = text.find(kBegin), end = text.find(kEnd);
    ASSERT_NE(begin, std::string::npos) << page;
    ASSERT_NE(end, std::string::npos) << page;
    const auto whole = text.substr(0, begin) + std::string(kBegin) + rules_table() + text.substr(end);
    if (std::getenv("SLIPWAY_REGENERATE") != nullptr) {
        ASSERT_TRUE(write_file_atomic(page, as_bytes(whole)).ok());
    } else {
        EXPECT_EQ(text, whole) << "SLIPWAY_REGENERATE=1 writes the table anew";
    }
}

TEST(Rules, what_is_not_known_is_not_checked_and_never_guessed) {
    Inventory nothing;
    nothing.os.family = "linux";
    for (const auto& f : validate(nothing, Switches{})) {
        EXPECT_FALSE(f.what.empty()) << f.id;
        if (f.verdict == Verdict::NotChecked) {
            EXPECT_FALSE(f.to_do.empty()) << f.id;
        }
    }
    for (const char* id :
         {"store-space", "target-space", "spindle", "mac-conflict", "agent-network-driver", "memory-host"}) {
        const auto findings = validate(good_source(), good_switches());
        EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [&](const auto& f) {
            return f.id == id && f.verdict == Verdict::NotChecked;
        })) << id;
    }
}

TEST(Rules, warnings_of_the_reader_are_findings) {
    const auto findings = validate(good_source(), good_switches(), {}, {"line 3: unknown element 'fans'"});
    EXPECT_EQ(worst(findings), Verdict::Warning);
    EXPECT_EQ(exit_code_of(worst(findings)), kExitWarnings);
}

TEST(Rules, missing_patch_files_and_drop_in_drivers_may_come_later) {
    auto inventory = good_windows();
    auto switches = good_switches();
    switches.controller = ControllerChoice::Virtio;
    for (const auto& f : validate(inventory, switches))
        EXPECT_EQ(f.verdict == Verdict::Error, f.verdict == Verdict::Error && f.forcible) << f.id;
    inventory.system.memory_bytes = 0;
    const auto findings = validate(inventory, switches);
    EXPECT_TRUE(std::any_of(findings.begin(), findings.end(),
                            [](const auto& f) { return f.verdict == Verdict::Error && !f.forcible; }));
}

TEST(Controller, auto_fits_what_the_firmware_and_the_system_have_drivers_for) {
    auto linux_source = good_source();
    linux_source.disks[1].size = 500 * kGb;
    EXPECT_EQ(choose_controller(ControllerChoice::Auto, {&linux_source.disks[1]}, linux_source), Controller::Scsi);
    linux_source.system.firmware = Firmware::Uefi;
    EXPECT_EQ(choose_controller(ControllerChoice::Auto, {&linux_source.disks[1]}, linux_source), Controller::Sata);
    EXPECT_EQ(
        choose_controller(ControllerChoice::Auto, std::vector<const Disk*>(7, &linux_source.disks[0]), linux_source),
        Controller::Virtio);
    auto windows = good_windows();
    windows.disks[1].size = 500 * kGb;
    EXPECT_EQ(choose_controller(ControllerChoice::Auto, {&windows.disks[1]}, windows), Controller::Sata);
    windows.os.version = "5.2.3790";
    EXPECT_EQ(choose_controller(ControllerChoice::Auto, {&windows.disks[1]}, windows), Controller::Scsi);
    EXPECT_EQ(choose_controller(ControllerChoice::Auto, {&windows.disks[0]}, windows), Controller::Ide);
}

TEST(Nt, versions_and_service_packs_are_read_from_what_there_is) {
    OperatingSystem os;
    EXPECT_FALSE(nt_version(os));
    os.family = "windows";
    os.version = "5.2.3790";
    EXPECT_EQ(nt_version(os), kServer2003);
    EXPECT_EQ(nt_build(os), 3790u);
    for (const char* bad : {"", "5", "x.y", "5.", "99999999999999999999.1"}) {
        os.version = bad;
        EXPECT_FALSE(nt_version(os)) << bad;
    }
    for (const char* text : {"SP2", "Service Pack 2", "2", "Service Pack 2, v.2825"}) {
        os.service_level = text;
        EXPECT_EQ(service_pack(os), 2u) << text;
    }
    os.service_level = "";
    EXPECT_FALSE(service_pack(os));
}
