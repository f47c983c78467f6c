// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "lib/patches/hal_policy.hpp"
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

// Of every HAL and every --fixhal it says what the repair then does: both ask the same policy, this one of files.
TEST(Rules, what_becomes_of_a_hal_is_what_the_repair_does) {
    for (const auto& row : patches::hal_rows()) {
        if (row.hardware_id.empty()) continue;
        for (auto fix : {patches::FixHal::Auto, patches::FixHal::None, patches::FixHal::Acpi, patches::FixHal::Nacpi}) {
            SCOPED_TRACE(std::string(row.title) + ", " + std::string(patches::name_of(fix)));
            auto source = good_windows();
            source.os.version = "5.1.2600";
            source.os.architecture = "x86";
            source.os.hal = row.hardware_id;
            source.system.processors.threads = 2;
            auto switches = good_switches();
            switches.fix_hal = fix;
            patches::InstalledSystem installed{.major = 5, .minor = 1, .files = {}, .hardware_id = source.os.hal};
            const auto& kernel = patches::kernel_for(patches::kKernelFile, row.mp);
            for (auto [name, original] : {std::pair{patches::kHalFile, row.file}, {patches::kKernelFile, kernel.file}})
                installed.files.push_back(
                    {std::string(name),
                     patches::PeVersion{.version = patches::FileVersion::parse("5.1.2600.5512").value(),
                                        .original_name = std::string(original)}});
            const auto done = patches::decide_hal(installed, {.processors = 2}, fix).value();
            const Finding* said = nullptr;
            const auto findings = validate(source, switches);
            for (const auto& f : findings)
                if (f.id == "windows-hal") said = &f;
            ASSERT_NE(said, nullptr);
            const bool stays = done.files.empty();
            EXPECT_EQ(said->found.find("t stays: ") != std::string::npos, stays) << said->found;
            EXPECT_EQ(said->found.find("exchanged: ") != std::string::npos, !stays) << said->found;
            for (const auto& warning : done.warnings)
                EXPECT_NE(said->found.find(warning), std::string::npos) << said->found;
        }
    }
}

// What it advises ends it, and what it calls no help is none.
TEST(Rules, an_address_that_another_machine_has_is_freed_by_what_is_advised) {
    const auto source = good_source();
    auto plain = good_switches(), dynamic = plain;
    dynamic.dynamic_macs = true;
    auto said = [&](const Switches& switches, std::vector<KnownDevice> devices) {
        Surroundings around;
        around.devices = std::move(devices);
        std::vector<Finding> out;
        for (auto& f : validate(source, switches, around))
            if (f.id == "mac-conflict") out.push_back(std::move(f));
        return out;
    };
    auto vm = [](const std::string& mac) { return KnownDevice{"old", "device", "released", "vm", "none", {mac}}; };
    const auto own = planned_nics(source, plain).at(0).new_mac, made = planned_nics(source, dynamic).at(0).new_mac;
    ASSERT_NE(own, made);
    for (const auto& switches : {plain, dynamic}) {
        const auto findings = said(switches, {vm(own)});
        ASSERT_EQ(findings.size(), 1u);
        EXPECT_EQ(findings[0].verdict, Verdict::Error);
        EXPECT_EQ(findings[0].to_do.find("Give --virtualmacdynamic"), std::string::npos) << findings[0].to_do;
        EXPECT_NE(findings[0].to_do.find("Remove the other machine"), std::string::npos);
        EXPECT_EQ(said(switches, {}).at(0).verdict, Verdict::Ok);
    }
    EXPECT_NE(said(dynamic, {vm(made)}).at(0).to_do.find("leave out --virtualmacdynamic"), std::string::npos);
    EXPECT_EQ(said(plain, {vm(made)}).at(0).verdict, Verdict::Ok);
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
