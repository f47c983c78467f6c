// SPDX-License-Identifier: GPL-3.0-or-later
// What a machine that boots is served, and what is said of it.
#include "deploy-server/test/server_fixture.hpp"

namespace slipway::server {
namespace {

using namespace test;

TEST_F(ServerTest, only_plain_files_below_the_boot_root_are_served) {
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/kernel", as_bytes("kernel bytes")));
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/cmdline", as_bytes("console=ttyS0")));
    for (const char* file : {"ramdisk/default", "images/dos.img", "loaders/arm64.efi"})
        ASSERT_TRUE(write_file_atomic(dir / "state/boot" / file, as_bytes(file)));
    for (const char* folder : {"ramdisk", "images", "loaders"}) {
        std::filesystem::create_symlink(dir / "state/admin.token", dir / "state/boot" / folder / "link");
        std::filesystem::create_directory_symlink(dir / "state", dir / "state/boot" / folder / "out");
    }
    EXPECT_EQ(clear("GET", "/boot/kernel").body, "kernel bytes");
    EXPECT_EQ(clear("GET", "/boot/ramdisk/default").body, "ramdisk/default");
    EXPECT_EQ(clear("GET", "/boot/images/dos.img").body, "images/dos.img");
    EXPECT_EQ(clear("GET", "/boot/loaders/arm64.efi").body, "loaders/arm64.efi");
    for (std::string folder : {"ramdisk", "images", "loaders"})
        for (std::string path : {"../../admin.token",
                                 "..%2f..%2fadmin.token",
                                 "%2e%2e/%2e%2e/admin.token",
                                 "%252e%252e%252fcmdline",
                                 "../cmdline",
                                 "..%5ccmdline",
                                 "..\\cmdline",
                                 "link",
                                 "out/admin.token",
                                 "out%2fadmin.token",
                                 "%2fetc%2fpasswd",
                                 "/etc/passwd",
                                 "",
                                 ".",
                                 "..",
                                 "%00",
                                 "default%00.x",
                                 "dos.img%00",
                                 "nobody",
                                 "%zz"}) {
            auto status = clear("GET", "/boot/" + folder + "/" + path).status;
            EXPECT_TRUE(status == 404 || status == 400) << folder << "/" << path << ": " << status;
        }
    for (auto path : {"/boot/", "/boot/cmdline", "/boot/../admin.token", "/boot/%2e%2e/admin.token", "/boot/images",
                      "/boot/made/x", "/boot/kernel/../cmdline", "//etc/passwd"})
        EXPECT_THAT(clear("GET", path).status, testing::AnyOf(404u, 400u)) << path;
    EXPECT_EQ(clear("GET", "/api/v1/devices").status, 404u);
}

TEST_F(ServerTest, a_device_boots_what_it_is_told_and_the_answer_says_by_whose_word) {
    add_device();
    auto script = [&] { return clear("GET", std::string("/boot/script?mac=") + kMac); };
    auto next = [&] { return json::serialize(api("GET", "/devices/poseidon").object().at("next_boot")); };
    auto set = [&](const json::object& change) { return api("PATCH", "/devices/poseidon", change); };
    EXPECT_EQ(next(), R"({"action":"boot-to-da","why":"the global job template"})");
    EXPECT_THAT(script().body, HasSubstr("slipway.token="));
    EXPECT_THAT(clear("GET", std::string("/boot/grub.cfg?mac=") + kMac).body, HasSubstr("'slipway.token="));
    ASSERT_EQ(api("PATCH", "/netboot/settings", {{"action", "local-disk"}}).status, 200u);
    EXPECT_THAT(script().body, HasSubstr("local disk"));
    ASSERT_EQ(set({{"pxe_action", "ignore"}}).status, 200u);
    EXPECT_EQ(script().error(), "server.netboot-ignored");
    EXPECT_EQ(set({{"pxe_action", "image"}}).error(), "server.bad-request");
    EXPECT_EQ(set({{"pxe_action", "image"}, {"pxe_image", "dos.img"}}).error(), "server.no-boot-image");
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/images/dos.img", Bytes(1440u << 10)));
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/images/odd.img", Bytes(100)));
    EXPECT_EQ(set({{"pxe_action", "image"}, {"pxe_image", "odd.img"}}).error(), "pxe.image");
    ASSERT_EQ(set({{"pxe_action", "image"}, {"pxe_image", "dos.img"}}).status, 200u);
    EXPECT_THAT(script().body, HasSubstr("loaders/memdisk floppy raw"));
    EXPECT_THAT(api("GET", "/netboot/images").body, HasSubstr(R"({"name":"dos.img","size":1474560,"kind":"floppy"})"));
    std::filesystem::remove(dir / "state/boot/images/dos.img");
    EXPECT_EQ(script().error(), "server.netboot-ignored") << "gone meanwhile";
    ASSERT_EQ(set({{"pxe_action", "default"}, {"secure_boot", "on"}, {"loader", "ipxe"}}).status, 200u);
    EXPECT_THAT(next(), HasSubstr("global job template"));
    EXPECT_EQ(set({{"loader", "../kernel"}}).error(), "server.bad-request");
    Working w(*this, "<task type=\"inventory\"/>");
    EXPECT_THAT(next(), HasSubstr("a job wants the agent"));
    EXPECT_EQ(set({{"pxe_action", "local-disk"}}).error(), "server.device-busy");
}

TEST_F(ServerTest, the_agent_says_whether_secure_boot_is_on) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    auto state = [&] { return api("GET", "/devices/poseidon").object().at("secure_boot"); };
    auto says = [&](const char* what) {
        EXPECT_EQ(w.agent
                      .call("/hello", {{"device", "x"},
                                       {"boot_id", w.agent.boot},
                                       {"hardware", {{"secure_boot", what}}},
                                       {"version", "1"},
                                       {"kind", "da"},
                                       {"memory_bytes", 1}})
                      .status,
                  200u);
    };
    EXPECT_EQ(state(), "unknown");
    says("off");
    EXPECT_EQ(state(), "off");
    says("unknown");
    EXPECT_EQ(state(), "off");
    says("on");
    EXPECT_EQ(state(), "on");
}

TEST_F(ServerTest, a_boot_script_names_the_ramdisk_of_the_device_and_the_arguments_of_the_lab) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    EXPECT_THAT(clear("GET", std::string("/boot/script?mac=") + kMac).body, HasSubstr("ramdisk/default"));
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/ramdisk/poseidon", as_bytes("x")));
    ASSERT_TRUE(write_file_atomic(dir / "state/boot/cmdline", as_bytes("console=ttyS0 quiet\n")));
    auto script = clear("GET", std::string("/boot/script?mac=") + kMac).body;
    EXPECT_THAT(script, HasSubstr("ramdisk/poseidon"));
    EXPECT_THAT(script, HasSubstr("console=ttyS0 quiet"));
    EXPECT_THAT(script, HasSubstr(fmt::format("slipway.server=https://127.0.0.1:{}", server->tls_port())));
    EXPECT_NE(boot_token(), boot_token());
}

TEST_F(ServerTest, post_system_is_for_agents_of_the_kernel_that_is_served) {
    add_device();
    Working w(*this, "<task type=\"inventory\"/>");
    for (const char* kernel : {"", "6.1.0", "..%2F..%2Fetc"}) {
        auto path = std::string("/agent/v1/post-system?kernel=") + kernel;
        EXPECT_EQ(send(tls_url(), ca, w.agent.identity, {.path = path}).error(), "server.bad-request") << kernel;
    }
    EXPECT_EQ(send(tls_url(), ca, std::nullopt, {.path = "/agent/v1/post-system?kernel=6.1.0"}).error(),
              "server.no-certificate");
}

TEST_F(ServerTest, ramdisks_are_listed_and_asked_for_by_device) {
    add_device();
    auto list = api("GET", "/agent/ramdisks");
    EXPECT_EQ(list.status, 200u);
    EXPECT_EQ(list.object().at("kernel_version"), "");  // nobody has built one here
    EXPECT_EQ(api("GET", "/agent/ramdisks/nobody").error(), "server.no-ramdisk");
    EXPECT_EQ(api("POST", "/agent/ramdisks", {{"device", "nobody"}}).error(), "server.no-device");
    EXPECT_EQ(api("POST", "/agent/ramdisks", {{"device", 1}}).error(), "server.bad-request");
    EXPECT_EQ(api("POST", "/agent/ramdisks", {{"device", "poseidon"}}).status, 202u);
    EXPECT_EQ(api("GET", "/agent/ramdisks/poseidon").object().at("name"), "poseidon");
    // Answered when nothing is to be made any more.
    auto built = api("GET", "/agent/ramdisks/poseidon?wait=30").object();
    EXPECT_THAT(json::serialize(built.at("state")), testing::Not(testing::AnyOf("\"waiting\"", "\"building\"")));
    EXPECT_EQ(api("GET", "/agent/ramdisks/nobody?wait=30").error(), "server.no-ramdisk");
}

TEST_F(ServerTest, no_device_has_the_name_of_a_ramdisk_of_many) {
    for (const char* name : {"broad", "default", "by-content"})
        EXPECT_EQ(api("POST", "/devices", {{"name", name}}).error(), "server.bad-request") << name;
    add_device();
    EXPECT_EQ(api("PATCH", "/devices/poseidon", {{"name", "broad"}}).error(), "server.bad-request");
}

TEST_F(ServerTest, a_device_may_upload_when_it_is_told_to) {
    add_device();
    auto may = [&] { return api("GET", "/devices/poseidon").object().at("tftp_upload").as_bool(); };
    EXPECT_FALSE(may());
    EXPECT_EQ(api("PATCH", "/devices/poseidon", {{"tftp_upload", "on"}}).error(), "server.bad-request");
    ASSERT_EQ(api("PATCH", "/devices/poseidon", {{"tftp_upload", true}}).status, 200u);
    EXPECT_TRUE(may());
    ASSERT_EQ(api("PATCH", "/devices/poseidon", {{"description", "x"}}).status, 200u);
    EXPECT_TRUE(may());
}

}  // namespace
}  // namespace slipway::server
