// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <chrono>

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "vmscript/errors.hpp"
#include "vmscript/test/phony_source.hpp"
#include "vmscript/validation/report.hpp"
#include "vmscript/validation/validate.hpp"
#include "vmscript/validation/wrap.hpp"

using namespace slipway;
using namespace slipway::vmscript;
using namespace slipway::gatherhw;

namespace {

// A machine with a word of each kind.
Inventory troubled() {
    auto i = good_windows();
    i.collected = "2026-11-23T20:04:11Z";
    i.system.manufacturer = "HP";
    i.system.model = "ProLiant DL380 G4";
    i.system.host_name = "nereus";
    i.os.name = "Windows Server 2003";
    i.os.version = "5.2.3790";
    i.os.service_level = "Service Pack 2";
    i.os.architecture = "i386";
    i.os.hal = "mps_mp";
    i.os.licence = LicenceChannel::Oem;
    i.os.licence_evidence = "product ID of an OEM channel";
    i.boot = {"ntldr",
              "",
              "",
              {{"C:\\boot.ini",
                "[operating systems]\r\nscsi(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"2003\" /fastdetect\r\n"}}};
    i.disks[1].size = 300ull << 30;
    i.disks[1].logical_sector = 4096;
    i.disks[0].geometry = Geometry{2610, 64, 32};
    i.usb = {{"1-1", 0x0529, 0x0001, "Aladdin", "HASP key", "", {}}};
    i.services = {{"CpqNicMgmt", "HP Insight NIC Agents", "auto", "", ""}};
    i.log = {{LogTopic::DiskError, "\\Device\\Harddisk0", 4, "System", {"The device has a bad block."}}};
    return i;
}

std::vector<Finding> findings_of(const Inventory& i) { return validate(i, good_switches()); }

void expect_golden(const std::string& name, const std::string& text) {
    const auto path = std::string(SLIPWAY_SOURCE_DIR) + "/vmscript/test/golden/" + name;
    if (std::getenv("SLIPWAY_REGENERATE") != nullptr) {
        ASSERT_TRUE(write_file_atomic(path, as_bytes(text)).ok());
    }
    EXPECT_EQ(read_text_file(path).value_or(""), text) << name << ": SLIPWAY_REGENERATE=1 writes it anew";
}

std::size_t longest_line(const std::string& text) {
    std::size_t longest = 0;
    for (const auto& line : split(text, '\n')) longest = std::max(longest, line.size());
    return longest;
}

}  // namespace

// SLIPWAY_REGENERATE=1 writes the golden files anew.
TEST(Report, is_the_golden_one) {
    expect_golden("validation-good.txt", report_text(good_source(), findings_of(good_source())));
    expect_golden("validation-windows.txt", report_text(troubled(), findings_of(troubled())));
    expect_golden("validation-windows.json", report_json(troubled(), findings_of(troubled())));
    expect_golden("validation-windows.html", report_html(troubled(), findings_of(troubled())));
}

TEST(Report, text_keeps_to_the_width_of_the_terminal) {
    const auto findings = findings_of(troubled());
    for (std::size_t width : {60u, 80u, 120u})
        EXPECT_LE(
            longest_line(report_text(troubled(), findings, {.groups = {}, .only_problems = false, .width = width})),
            width);
    EXPECT_EQ(wrapped("one two three", 0, 2, 7), "one two\n  three\n");
    EXPECT_EQ(wrapped("unbreakableword x", 4, 2, 8), "unbreakableword\n  x\n");
    EXPECT_EQ(wrapped("Größe über", 0, 0, 10), "Größe über\n") << "columns are characters, not bytes";
    EXPECT_EQ(wrapped("", 0, 0, 10), "\n");
}

TEST(Report, colours_only_when_asked) {
    const auto findings = findings_of(troubled());
    EXPECT_EQ(report_text(troubled(), findings).find('\x1b'), std::string::npos);
    ReportOptions options;
    options.colour = true;
    EXPECT_NE(report_text(troubled(), findings, options).find("\x1b[1;31merror"), std::string::npos);
}

TEST(Report, groups_and_problems_alone_are_shown_and_the_verdict_stays_that_of_all) {
    const auto findings = findings_of(troubled());
    ReportOptions options{.groups = {"network"}, .only_problems = true};
    const auto text = report_text(troubled(), findings, options);
    EXPECT_EQ(text.find("usb-device"), std::string::npos);
    EXPECT_NE(text.find("windows-adapter"), std::string::npos);
    EXPECT_EQ(text.find("adapter-count"), std::string::npos) << "it is in order";
    EXPECT_NE(text.find("It cannot be migrated like this"), std::string::npos);
    for (const auto* f : shown(findings, options)) EXPECT_EQ(f->group, Group::Network);
}

TEST(Report, json_says_what_the_table_says) {
    auto inventory = good_source();
    inventory.system.host_name = "a\"b\x1b";
    inventory.boot.loader = "refind";
    const auto findings = findings_of(inventory);
    const auto json = boost::json::parse(report_json(inventory, findings)).as_object();
    EXPECT_EQ(json.at("schema").as_string(), "urn:slipway:validation:1");
    EXPECT_EQ(json.at("verdict").as_string(), "warning");
    EXPECT_EQ(json.at("checks").as_array().size(), findings.size());
    EXPECT_EQ(json.at("counts").at("warning").to_number<std::size_t>(), 1u);
    EXPECT_EQ(json.at("first").at(0).at("id").as_string(), "boot-loader");
    for (const auto& row : json.at("checks").as_array()) {
        EXPECT_EQ(row.as_object().size(), 8u);
        for (const auto& member : row.as_object()) EXPECT_TRUE(member.value().is_string()) << member.key();
    }
}

TEST(Report, what_to_do_first_is_errors_before_warnings_and_each_advice_once) {
    auto inventory = troubled();
    for (auto& d : inventory.disks) d.logical_sector = 4096;
    const auto findings = findings_of(inventory);
    const auto s = summarize(findings);
    ASSERT_FALSE(s.first.empty());
    EXPECT_LE(s.first.size(), kFirst);
    EXPECT_TRUE(
        std::is_sorted(s.first.begin(), s.first.end(), [](auto* a, auto* b) { return a->verdict > b->verdict; }));
    EXPECT_EQ(std::count_if(s.first.begin(), s.first.end(), [](auto* f) { return f->id == "sector-size"; }), 1);
    EXPECT_EQ(summarize(findings_of(good_source())).sentence, "It can be migrated.");
}

TEST(Report, html_is_whole_in_itself_and_escaped) {
    auto inventory = troubled();
    inventory.system.host_name = "<script>alert('x')</script>";
    inventory.os.name = "\"&<b>";
    inventory.usb[0].name = "</td><img src=http://evil/>";
    const auto html = report_html(inventory, findings_of(inventory));
    EXPECT_EQ(html.find("<script"), std::string::npos);
    EXPECT_EQ(html.find("<img"), std::string::npos);
    EXPECT_EQ(html.find("<link"), std::string::npos);
    EXPECT_EQ(html.find(" src="), html.find(" src=http://evil/&gt;")) << "only as text";
    EXPECT_NE(html.find("&lt;script&gt;alert(&#39;x&#39;)"), std::string::npos);
    EXPECT_NE(html.find("What to do first"), std::string::npos);
    EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
    for (const char* tag : {"table", "ol", "body", "style", "html", "tr", "td", "h2"}) {
        auto count = [&](const std::string& what) {
            std::size_t n = 0;
            for (auto at = html.find(what); at != std::string::npos; at = html.find(what, at + 1)) ++n;
            return n;
        };
        EXPECT_EQ(count("<" + std::string(tag) + ">") + count("<" + std::string(tag) + " "),
                  count("</" + std::string(tag) + ">"))
            << tag;
    }
}

TEST(Report, a_hostile_inventory_cannot_drive_the_terminal) {
    auto inventory = troubled();
    inventory.os.name = inventory.disks[0].name = inventory.network[0].name = inventory.log[0].lines[0] = "\x1b[2J";
    const auto findings = findings_of(inventory);
    EXPECT_EQ(report_text(inventory, findings).find('\x1b'), std::string::npos);
    EXPECT_EQ(report_json(inventory, findings).find("\\u001b"), std::string::npos);
    EXPECT_EQ(report_html(inventory, findings).find('\x1b'), std::string::npos);
}

TEST(Report, the_list_of_rules_has_them_all) {
    const auto json = boost::json::parse(rules_json()).as_object();
    const auto text = rules_text(80);
    EXPECT_LE(longest_line(text), 80u);
    for (const auto& row : json.at("rules").as_array())
        EXPECT_NE(text.find(std::string(row.at("id").as_string())), std::string::npos);
}

TEST(Surroundings, devices_are_read_from_what_the_console_prints) {
    const auto devices = read_device_list(
        R"({"items":[{"name":"a","kind":"vmhost","state":"controlled","power_driver":"prompt","macs":["52-54-00-AA-00-01",7,"x"],"agent":{"state":"ready"}}]})");
    ASSERT_TRUE(devices.ok()) << devices.error().explain();
    ASSERT_EQ(devices->size(), 1u);
    EXPECT_EQ((*devices)[0].macs, std::vector<std::string>{"52:54:00:aa:00:01"});
    EXPECT_EQ((*devices)[0].agent_state, "ready");
    EXPECT_TRUE(read_device_list("[]").ok());
    for (const char* bad : {"", "{", "{}", "7", R"({"items":7})", R"([7])", R"([{"kind":"x"}])"})
        EXPECT_TRUE(!read_device_list(bad).ok() && read_device_list(bad).error().is(errors::kBadValue)) << bad;
}

TEST(Surroundings, missing_drivers_are_read_from_what_the_ramdisk_builder_prints) {
    const auto drivers = read_agent_drivers(
        R"({"kernel_version":"6.1.0","missing":[{"kind":"network","id":"8086:1533","name":"eth0","fatal":true,"why":"w"}]})");
    ASSERT_TRUE(drivers.ok()) << drivers.error().explain();
    ASSERT_EQ(drivers->missing.size(), 1u);
    EXPECT_TRUE(drivers->missing[0].fatal);
    for (const char* bad : {"", "[]", "{}", R"({"missing":[1]})"}) EXPECT_FALSE(read_agent_drivers(bad).ok()) << bad;
}

TEST(Surroundings, a_pattern_is_matched_in_time) {
    EXPECT_TRUE(name_matches("srv*", "SrvAdmin"));
    EXPECT_TRUE(name_matches("*a*b", "xxaxxb"));
    EXPECT_FALSE(name_matches("a", "ab"));
    EXPECT_FALSE(name_matches("", "a"));
    EXPECT_TRUE(name_matches("**", ""));
    const std::string many(2000, 'a');
    EXPECT_FALSE(name_matches("*a*a*a*a*a*a*a*b", many));
}
