// SPDX-License-Identifier: GPL-3.0-or-later
// Other servers judge what is added: dhcpd -t, kea-dhcp4 -t, dnsmasq --test.
#include <gtest/gtest.h>

#include "dhcp-helper/coexist.hpp"
#include "dhcp-helper/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::dhcp;
using namespace slipway::dhcp::coexist;

namespace {

struct Sample {
    const char* name;
    Kind kind;
    std::string text;
};
void PrintTo(const Sample& sample, std::ostream* out) { *out << sample.name; }

const std::string kIsc =
    "# a comment with { and \"\ndefault-lease-time 600;\nsubnet 10.0.0.0 netmask 255.255.255.0 {\n"
    "  range 10.0.0.10 10.0.0.20;  # pool }\n  option domain-name \"a;b{c\";\n}\n";
const std::string kKeaPlain =
    "// Kea\n{ \"Dhcp4\": { /* { */\n  \"lease-database\": { \"type\": \"memfile\", \"persist\": false },\n"
    "  \"subnet4\": [ { \"subnet\": \"10.0.0.0/24\", # ]\n    \"pools\": [ { \"pool\": \"10.0.0.10 - 10.0.0.20\" } ] } "
    "]\n} }\n";
std::string kea_with(const std::string& classes) {
    auto text = kKeaPlain;
    return text.insert(text.find("  \"subnet4\""), "  \"client-classes\": " + classes + ",\n");
}
const std::string kDnsmasq = "# dnsmasq\nport=0\ndhcp-range=10.0.0.10,10.0.0.20\n";

std::vector<Sample> samples() {
    auto crlf = [](const std::string& text) {
        std::string out;
        for (char c : text) out += c == '\n' ? "\r\n" : std::string(1, c);
        return out;
    };
    return {{"isc", Kind::Isc, kIsc},
            {"isc_without_last_line_end", Kind::Isc, kIsc.substr(0, kIsc.size() - 1)},
            {"isc_ending_in_a_comment", Kind::Isc, kIsc + "# end"},
            {"isc_crlf", Kind::Isc, crlf(kIsc)},
            {"kea", Kind::Kea, kKeaPlain},
            {"kea_without_last_line_end", Kind::Kea, kKeaPlain.substr(0, kKeaPlain.size() - 1)},
            {"kea_no_classes_in_list", Kind::Kea, kea_with("[ ]")},
            {"kea_classes", Kind::Kea, kea_with("[ { \"name\": \"a\" } // last\n ]")},
            {"kea_crlf", Kind::Kea, crlf(kKeaPlain)},
            {"dnsmasq", Kind::Dnsmasq, kDnsmasq},
            {"dnsmasq_without_last_line_end", Kind::Dnsmasq, kDnsmasq.substr(0, kDnsmasq.size() - 1)},
            {"dnsmasq_empty", Kind::Dnsmasq, ""}};
}

class CoexistSample : public testing::TestWithParam<Sample> {};

bool is_there(const std::string& program) {
    for (auto directory : {"/usr/sbin/", "/usr/bin/", "/sbin/"})
        if (std::filesystem::exists(directory + program)) return true;
    return false;
}

Error refused(Kind kind, std::string_view text) {
    auto added = add(kind, text);
    EXPECT_FALSE(added.ok()) << text;
    return added.ok() ? make_error(errors::kWhichConfig, "not refused") : added.error();
}

std::vector<std::string> ids(Kind kind, std::string_view text, bool same_host) {
    std::vector<std::string> out;
    auto found = check(kind, text, same_host).value();
    for (const auto& f : found) out.push_back(f.line ? fmt::format("{}@{}", f.id, f.line) : f.id);
    return out;
}

}  // namespace

TEST_P(CoexistSample, add_is_once_and_remove_leaves_every_byte_as_it_was) {
    const auto& s = GetParam();
    auto added = add(s.kind, s.text).value();
    EXPECT_NE(added, s.text);
    EXPECT_EQ(add(s.kind, added).value(), added);
    EXPECT_EQ(remove(s.kind, added).value(), s.text);
    EXPECT_EQ(remove(s.kind, s.text).value(), s.text);
    EXPECT_EQ(check(s.kind, added, true).value().size(), s.text.empty() ? 1u : 0u);
}

TEST_P(CoexistSample, nothing_but_the_fragment_is_new) {
    const auto& s = GetParam();
    auto added = add(s.kind, s.text).value();
    auto same = std::mismatch(s.text.begin(), s.text.end(), added.begin(), added.end());
    auto tail = std::string(same.first, s.text.end());
    EXPECT_TRUE(added.ends_with(tail));
}

TEST_P(CoexistSample, the_server_itself_accepts_it) {
    const auto& s = GetParam();
    auto temp = TempDir::create("coexist").value();
    auto file = (temp / "config").string();
    ASSERT_TRUE(write_file_atomic(file, as_bytes(add(s.kind, s.text).value())).ok());
    std::vector<std::string> judge;
    if (s.kind == Kind::Isc) judge = {"dhcpd", "-t", "-4", "-cf", file, "-lf", (temp / "leases").string()};
    if (s.kind == Kind::Kea) judge = {"kea-dhcp4", "-t", file};
    if (s.kind == Kind::Dnsmasq) judge = {"dnsmasq", "--test", "-C", file};
    if (!is_there(judge[0])) GTEST_SKIP() << judge[0] << " is not installed";
    auto verdict = run_command(judge).value();
    EXPECT_EQ(verdict.exit_code, 0) << verdict.error_text << verdict.output;
}

INSTANTIATE_TEST_SUITE_P(Every, CoexistSample, testing::ValuesIn(samples()),
                         [](const auto& info) { return info.param.name; });

TEST(Coexist, odd_configurations_are_refused_by_name) {
    auto has = [](const Error& error, std::string_view part) {
        EXPECT_TRUE(error.is(errors::kForeignConfig));
        EXPECT_NE(error.describe().find(part), std::string::npos) << error.describe();
    };
    has(refused(Kind::Isc, "subnet 1.0.0.0 {\n range;\n"), "line 1: a block without end");
    has(refused(Kind::Isc, "a;\n}\n"), "line 2: '}' without '{'");
    has(refused(Kind::Isc, "a;\nb \"x\n"), "line 2: a string without end");
    has(refused(Kind::Isc, "a;\nb c\n"), "line 2: a statement without end");
    has(refused(Kind::Isc, std::string(100, '{')), "deep");
    has(refused(Kind::Isc, "class \"slipway-netboot\" { }\n"), "without our marks");
    has(refused(Kind::Isc, "# BEGIN slipway network boot\n"), "only one");
    has(refused(Kind::Isc, fragment(Kind::Isc) + fragment(Kind::Isc)), "more than one pair");
    has(refused(Kind::Kea, "{ }"), "no \"Dhcp4\" object");
    has(refused(Kind::Kea, "{ \"Dhcp4\": { } } }"), "more behind");
    has(refused(Kind::Kea, "{ \"Dhcp4\": { }, \"Dhcp4\": { } }"), "twice");
    has(refused(Kind::Kea, "{ \"Dhcp4\": [ ] }"), "no object");
    has(refused(Kind::Kea, "{ \"Dhcp4\": { \"client-classes\": 7 } }"), "no list");
    has(refused(Kind::Kea, "{ \"Dhcp4\": { <?include \"x\"?> } }"), "<?include?>");
    has(refused(Kind::Kea, "{ \"Dhcp4\": { /* } }"), "comment without end");
    has(refused(Kind::Kea, "{ \"Dhcp4\": { \"a\" 1 } }"), "no ':'");
    has(refused(Kind::Kea, "{ \"Dhcp4\": { \"a\": 1 \"b\": 2 } }"), "a ',' is missing");
    has(refused(Kind::Kea, "{ \"a\": " + std::string(100, '[')), "deep");
    has(refused(Kind::Dnsmasq, std::string_view("a\0b", 3)), "NUL");
}

TEST(Coexist, check_names_what_is_in_the_way_with_its_line) {
    using Ids = std::vector<std::string>;
    EXPECT_EQ(ids(Kind::Isc, kIsc, true), Ids{"no-fragment"});
    EXPECT_EQ(ids(Kind::Isc, kIsc, false), Ids{});
    EXPECT_EQ(ids(Kind::Isc, add(Kind::Isc, kIsc).value(), false), Ids{"needless-fragment"});
    EXPECT_EQ(ids(Kind::Isc, kIsc + "next-server 10.0.0.1;\nfilename \"x\";\ninclude \"y\";\n", false),
              (Ids{"next-server@7", "boot-file@8", "includes@9"}));
    EXPECT_EQ(ids(Kind::Kea, kea_with("[ { \"name\": \"a\", \"boot-file-name\": \"x\" } ]"), false),
              Ids{"boot-file@4"});
    EXPECT_EQ(ids(Kind::Dnsmasq, "dhcp-option=60,PXEClient\ndhcp-boot=x\nconf-dir=/etc/d\n", false),
              (Ids{"option-60@1", "boot-file@2", "includes@3", "no-range"}));
}

TEST(Coexist, an_address_without_a_boot_file_is_what_secure_boot_needs) {
    auto trouble = [](Kind kind, const std::string& text) {
        auto found = check(kind, text, false).value();
        EXPECT_EQ(found.size(), 1u) << text;
        return found.empty() || found[0].id != "next-server" || found[0].trouble;
    };
    const std::string range = "dhcp-range=10.99.0.50,10.99.0.60\n";
    // What `show` says is what `check` accepts.
    EXPECT_FALSE(trouble(Kind::Isc, kIsc + next_server_line(Kind::Isc, "10.99.0.1") + "\n"));
    EXPECT_FALSE(trouble(Kind::Dnsmasq, range + next_server_line(Kind::Dnsmasq, "10.99.0.1") + "\n"));
    EXPECT_FALSE(trouble(Kind::Dnsmasq, range + "dhcp-boot=tag:uefi, , ,10.99.0.1\n"));
    EXPECT_FALSE(
        trouble(Kind::Kea, "{ \"Dhcp4\": { " + next_server_line(Kind::Kea, "10.99.0.1") + " \"pools\": [] } }"));
    for (const char* line :
         {"dhcp-boot=x,,10.99.0.1", "dhcp-boot=,boothost,10.99.0.1", "dhcp-boot=tag:uefi,x", "dhcp-boot="})
        EXPECT_TRUE(trouble(Kind::Dnsmasq, range + line)) << line;
    EXPECT_TRUE(trouble(Kind::Isc, kIsc + "server-name \"x\";\n"));
}

TEST(Coexist, the_kind_is_known_by_the_text_then_by_the_name) {
    EXPECT_EQ(kind_of("x", kIsc), Kind::Isc);
    EXPECT_EQ(kind_of("x", kKeaPlain), Kind::Kea);
    EXPECT_EQ(kind_of("dhcpd.conf", kDnsmasq), Kind::Dnsmasq);
    EXPECT_EQ(kind_of("/etc/dhcp/dhcpd.conf", ""), Kind::Isc);
    EXPECT_EQ(kind_of("x", "hello\n"), std::nullopt);
}
