// SPDX-License-Identifier: GPL-3.0-or-later
// The personality's document: what is taken, and what is refused before anything is changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/personality.hpp"
#include "lib/base/fd.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

std::string error_of(std::string_view text, std::string_view device = {}) {
    const auto read = parse_personality(text, device);
    EXPECT_TRUE(read.ok() || read.error().is(fixup::errors::kPersonality));
    return read ? "" : read.error().message();
}

}  // namespace

TEST(PersonalityDocument, every_member_is_read) {
    const auto read = parse_personality(R"({
        "hostname": "web01.example.org", "machine_id": "0123456789abcdef0123456789abcdef", "ssh_host_keys": "new",
        "timezone": "Europe/Berlin", "locale": "de_DE.UTF-8",
        "interfaces": [{"name": "ens3", "mac": "52:54:00:00:00:01", "method": "static", "addresses": ["10.0.0.5/24", "fd00::5/64"],
                        "gateways": ["10.0.0.1", "fd00::1"], "dns": ["10.0.0.53"], "search": ["example.org"]},
                       {"mac": "52:54:00:00:00:02", "method": "dhcp"}],
        "authorized_keys": [{"key": "ssh-ed25519 AAAAC3Nz admin@desk"}, {"user": "ops", "key": "ssh-rsa AAAAB3Nz"}],
        "first_boot": [{"name": "join", "script": "#!/bin/sh\nexit 0\n"}]})");
    ASSERT_TRUE(read.ok()) << read.error().describe();
    EXPECT_EQ(read->host_name, "web01.example.org");
    EXPECT_EQ(read->machine_id, MachineId::Given);
    EXPECT_TRUE(read->new_ssh_host_keys);
    ASSERT_EQ(read->interfaces.size(), 2u);
    EXPECT_THAT(read->interfaces[0].gateways, ElementsAre("10.0.0.1", "fd00::1"));
    EXPECT_TRUE(read->interfaces[1].dhcp);
    EXPECT_EQ(read->authorized_keys[0].user, "root");
    EXPECT_EQ(read->first_boot[0].text, "#!/bin/sh\nexit 0\n");
}

TEST(PersonalityDocument, a_device_has_its_own_before_what_is_said_of_all) {
    constexpr const char* kForty = R"({"timezone": "UTC", "hostname": "nobody",
        "devices": {"web01": {"hostname": "web01", "interfaces": [{"name": "eth0", "method": "static", "addresses": ["10.0.0.1/24"]}]},
                    "web02": {"hostname": "web02"}}})";
    EXPECT_EQ(parse_personality(kForty, "web01")->host_name, "web01");
    EXPECT_EQ(parse_personality(kForty, "web01")->time_zone, "UTC");
    EXPECT_EQ(parse_personality(kForty, "web02")->interfaces.size(), 0u);
    EXPECT_THAT(error_of(kForty, "web03"), HasSubstr("none named 'web03'"));
    EXPECT_THAT(error_of(kForty), HasSubstr("devices"));
}

TEST(PersonalityDocument, a_typing_error_is_no_silence) {
    EXPECT_THAT(error_of(R"({"hostnam": "web01"})"), HasSubstr("no member 'hostnam'"));
    EXPECT_THAT(error_of(R"({"interfaces": [{"name": "eth0", "method": "static", "adress": []}]})"),
                HasSubstr("'adress'"));
    EXPECT_THAT(error_of(R"({"hostname": 7})"), HasSubstr("not a text"));
    EXPECT_THAT(error_of("{"), HasSubstr("not JSON"));
    EXPECT_THAT(error_of("[]"), HasSubstr("not an object"));
    EXPECT_THAT(error_of(R"({"devices": {"a": {"devices": {}}}})", "a"), HasSubstr("'devices'"));
    EXPECT_THAT(error_of(std::string(kLongestPersonality + 1, ' ')), HasSubstr("1 MiB"));
}

TEST(PersonalityDocument, names_that_would_break_out_of_their_file_are_refused) {
    for (const char* name : {"a\\nb", "a\\\"; reboot", "a b", "../../etc", "-x", "x-", "a..b", "ü", "", "a\\u0000b"})
        EXPECT_NE(error_of(std::string(R"({"hostname": ")") + name + "\"}"), "") << name;
    for (const char* name : {"../evil", "a/b", "a b", "a\\nb", "", "a.b", "-a"})
        EXPECT_NE(error_of(std::string(R"({"first_boot": [{"name": ")") + name + R"(", "script": "#!/bin/sh\n"}]})"),
                  "")
            << name;
    EXPECT_EQ(error_of(R"({"first_boot": [{"name": "a", "script": "@echo off\n"}], "windows": {"workgroup": "W"}})"),
              "");
    EXPECT_THAT(error_of(R"({"first_boot": [{"name": "a", "script": "echo off\n"}]})"), HasSubstr("begins neither"));
    for (const char* zone : {"../../etc/shadow", "/etc/shadow", "Europe//Berlin", "A\\nB", "-x"})
        EXPECT_NE(error_of(std::string(R"({"timezone": ")") + zone + "\"}"), "") << zone;
    for (const char* locale : {"de_DE\\nX=1", "$(id)", "a b"})
        EXPECT_NE(error_of(std::string(R"({"locale": ")") + locale + "\"}"), "") << locale;
    for (const char* key : {"ssh-rsa AAAA\\nssh-rsa BBBB", "command=\\\"id\\\" ssh-rsa AAAA", "ssh-rsa ;id", "AAAA"})
        EXPECT_NE(error_of(std::string(R"({"authorized_keys": [{"key": ")") + key + "\"}]}"), "") << key;
    EXPECT_NE(error_of(R"({"authorized_keys": [{"user": "../x", "key": "ssh-rsa AAAA"}]})"), "");
    EXPECT_NE(error_of(R"({"first_boot": [{"name": "a", "script": "reboot"}]})"), "");
}

TEST(PersonalityDocument, addresses_that_cannot_be_are_refused) {
    auto interface = [](const std::string& rest) {
        return error_of(R"({"interfaces": [{"name": "eth0", )" + rest + "}]}");
    };
    EXPECT_EQ(interface(R"("method": "static", "addresses": ["10.0.0.5/24"])"), "");
    for (const char* bad : {R"("method": "static")", R"("method": "dhcp", "addresses": ["10.0.0.5/24"])",
                            R"("addresses": ["10.0.0.5/24"])", R"("method": "static", "addresses": ["10.0.0.5"])",
                            R"("method": "static", "addresses": ["10.0.0.5/33"])",
                            R"("method": "static", "addresses": ["10.0.0.5/24\nup reboot"])",
                            R"("method": "static", "addresses": ["fd00::5/0"])",
                            R"("method": "static", "addresses": ["10.0.0.5/24"], "gateways": ["10.0.0.1", "10.0.0.2"])",
                            R"("method": "static", "addresses": ["10.0.0.5/24"], "dns": ["ns.example.org"])",
                            R"("method": "dhcp", "mac": "01:00:00:00:00:00")", R"("method": "dhcp", "mac": "zz")"})
        EXPECT_NE(interface(bad), "") << bad;
    EXPECT_NE(error_of(R"({"interfaces": [{"method": "dhcp"}]})"), "");
    EXPECT_NE(error_of(R"({"interfaces": [{"name": "eth0", "method": "dhcp"}, {"name": "eth0", "method": "dhcp"}]})"),
              "");
    EXPECT_NE(error_of(R"({"interfaces": [{"name": "../x", "method": "dhcp"}]})"), "");
}

TEST(PersonalityDocument, a_connection_of_windows_is_an_interfaces_name) {
    const auto text = personality_of("", "", {{"addresses", "Local Area Connection 2=10.0.0.5/24"}});
    ASSERT_TRUE(text.ok()) << text.error().describe();
    EXPECT_EQ(parse_personality(*text)->interfaces.at(0).name, "Local Area Connection 2");
    for (const char* bad : {"a;b", "a/b", "../x", "a\"b", "a$b", " a"})
        EXPECT_FALSE(parse_personality(fmt::format(R"({{"interfaces":[{{"name":"{}","method":"dhcp"}}]}})", bad)).ok());
}

TEST(PersonalityDocument, machine_ids_are_what_systemd_takes) {
    EXPECT_EQ(parse_personality(R"({"machine_id": "new"})")->machine_id, MachineId::New);
    EXPECT_EQ(parse_personality(R"({"machine_id": "uninitialized"})")->machine_id, MachineId::Uninitialized);
    for (const char* bad :
         {"", "0123", "0123456789ABCDEF0123456789abcdef", "00000000000000000000000000000000", "random"})
        EXPECT_NE(error_of(std::string(R"({"machine_id": ")") + bad + "\"}"), "") << bad;
}

TEST(PersonalityValuesTest, single_values_come_before_the_document_and_the_device_before_all) {
    constexpr const char* kForty = R"({"hostname": "nobody", "first_boot": [{"name": "app", "script": "#!/bin/sh\n"}],
        "devices": {"web01": {"timezone": "UTC"}, "web02": {}}})";
    const auto text = personality_of(
        kForty, "web01",
        {{"hostname", "web01"},
         {"machine-id", ""},
         {"addresses", "ens3=10.0.0.5/24,fd00::5/64,gateway=10.0.0.1,dns=10.0.0.53; 52:54:00:00:00:02=dhcp"},
         {"authorized-key", "ssh-ed25519 AAAA a@b"},
         {"join-script", "#!/bin/sh\njoin\n"},
         {"first-boot-script", "#!/bin/sh\nlast\n"}});
    ASSERT_TRUE(text.ok()) << text.error().describe();
    const auto read = parse_personality(*text);
    ASSERT_TRUE(read.ok()) << read.error().describe();
    EXPECT_EQ(read->host_name, "web01");
    EXPECT_EQ(read->time_zone, "UTC");
    ASSERT_EQ(read->interfaces.size(), 2u);
    EXPECT_THAT(read->interfaces[0].addresses, ElementsAre("10.0.0.5/24", "fd00::5/64"));
    EXPECT_THAT(read->interfaces[0].gateways, ElementsAre("10.0.0.1"));
    EXPECT_TRUE(read->interfaces[1].dhcp);
    ASSERT_EQ(read->first_boot.size(), 3u);
    EXPECT_EQ(read->first_boot[0].name, "join");
    EXPECT_EQ(read->first_boot[1].name, "app");
    EXPECT_EQ(read->first_boot[2].name, "first-boot");
    EXPECT_EQ(personality_of("", "web01", {{"hostname", ""}}).value(), "");
    EXPECT_FALSE(personality_of(kForty, "web03", {}).ok());
}

TEST(PersonalityValuesTest, a_device_without_an_entry_has_what_is_said_of_all_where_that_is_enough) {
    const auto error = [](std::string_view document, const PersonalityValues& values = {}) {
        const auto text = personality_of(document, "web03", values);
        return text ? std::string() : text.error().message();
    };
    constexpr const char* kEnough = R"({"interfaces": [{"name": "ens3", "method": "dhcp"}], "timezone": "UTC",
        "devices": {"web01": {"interfaces": [{"name": "ens3", "method": "static", "addresses": ["10.0.0.5/24"]}]}}})";
    const auto text = personality_of(kEnough, "web03", {});
    ASSERT_TRUE(text.ok()) << text.error().describe();
    EXPECT_TRUE(parse_personality(*text)->interfaces.at(0).dhcp);
    constexpr const char* kNoAddress = R"({"timezone": "UTC", "devices": {"web01": {"hostname": "web01",
        "interfaces": [{"name": "ens3", "method": "static", "addresses": ["10.0.0.5/24"]}]}}})";
    EXPECT_THAT(error(kNoAddress), HasSubstr("no hostname: 'web03'"));
    EXPECT_THAT(error(kNoAddress, {{"hostname", "web03"}}), HasSubstr("no interfaces: 'web03'"));
    EXPECT_EQ(error(kNoAddress, {{"hostname", "web03"}, {"addresses", "ens3=10.0.0.7/24"}}), "");
    EXPECT_THAT(error(R"({"devices": {"web01": {}}})", {{"hostname", "web03"}}), HasSubstr("none of this name"));
    EXPECT_THAT(error(R"({"timezone": "UTC", "devices": {"web01": 1}})"), HasSubstr("'web01'"));
    EXPECT_FALSE(personality_of(kEnough, "", {}).ok()) << "which of them was not said";
}

TEST(PersonalityValuesTest, what_a_value_takes_the_place_of_is_said_and_checked_all_the_same) {
    constexpr const char* kDocument = R"({"timezone": "UTC", "locale": "C", "devices": {"web1": {
        "hostname": "alpha.example.org", "interfaces": [{"name": "ens3", "method": "dhcp"}]}}})";
    std::vector<std::string> said;
    ASSERT_TRUE(personality_of(
                    kDocument, "web1",
                    {{"hostname", "web1"}, {"locale", "C"}, {"machine-id", "new"}, {"addresses", "ens3=10.0.0.5/24"}},
                    &said)
                    .ok());
    EXPECT_THAT(said, ElementsAre("the personality's hostname 'alpha.example.org' is not used: hostname 'web1' was "
                                  "given, which comes before it",
                                  "the personality's interfaces is not used: addresses was given, which comes before "
                                  "it"));
    EXPECT_FALSE(personality_of(R"({"devices": {"web1": {"hostname": "a b"}}})", "web1", {{"hostname", "web1"}}).ok());
}

TEST(PersonalityValuesTest, the_shipped_example_holds_three_machines) {
    const auto text = read_text_file(SLIPWAY_SOURCE_DIR "/docs/examples/personality.json").value();
    for (const char* device : {"web01", "web02", "lab"}) {
        const auto read = parse_personality(text, device);
        ASSERT_TRUE(read.ok()) << read.error().describe();
        EXPECT_TRUE(read->host_name.starts_with(device));
        EXPECT_EQ(read->interfaces.size(), 1u);
        EXPECT_TRUE(personality_of(text, device, {}).ok());
    }
}

TEST(PersonalityValuesTest, a_value_with_quotes_is_a_wrong_value_and_no_other_member) {
    EXPECT_FALSE(personality_of("", "", {{"hostname", "a\",\"timezone\":\"UTC"}}).ok());
    for (const char* bad :
         {"ens3", "ens3=", "ens3=10.0.0.5", "ens3=dhcp,10.0.0.5/24", "ens3=10.0.0.5/24,route=1", "../x=dhcp"})
        EXPECT_FALSE(personality_of("", "", {{"addresses", bad}}).ok()) << bad;
}
