// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <cstdlib>

#include "console/errors.hpp"
#include "console/rest_client.hpp"
#include "console/table.hpp"
#include "console/test/program.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway::console;

TEST(Table, pads_columns_and_disarms_escape_sequences) {
    Table table({"NAME", "STATE"});
    table.row({"poseidon", "ready"});
    table.row({"h\xc3\xa9", "\x1b[31m"});
    EXPECT_EQ(table.text(), "NAME      STATE\nposeidon  ready\nh\xc3\xa9        \\x1b[31m\n");
}

using namespace slipway;

TEST(Slipway, an_image_goes_from_file_to_vhd_by_the_command_line) {
    auto dir = TempDir::create("console").value();
    auto path = [&](const char* name) { return (dir / name).string(); };
    Bytes content(5u << 20);
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i * i >> 9);
    ASSERT_TRUE(write_file_atomic(dir / "disk.img", content).ok());

    auto captured = slipway_run(
        {"image", "capture", "--source", path("disk.img"), "--store", path("store"), "--name", "web", "--json"});
    ASSERT_EQ(captured.code, kExitDone) << captured.out << captured.error;
    EXPECT_NE(captured.out.find("\"image\":\"web@1\""), std::string::npos) << captured.out;
    EXPECT_EQ(slipway_run({"image", "verify", "--store", path("store")}).code, kExitDone);
    EXPECT_NE(slipway_run({"image", "list", "--store", path("store")}).out.find("web@1"), std::string::npos);

    auto deployed = slipway_run({"image", "deploy", "--store", path("store"), "--name", "web", "--target",
                                 path("web.vhd"), "--format", "vhd-fixed", "--verify"});
    ASSERT_EQ(deployed.code, kExitDone) << deployed.error;
    auto back = read_file(dir / "web.vhd").value();
    back.resize(content.size());
    EXPECT_EQ(back, content);
    EXPECT_NE(slipway_run({"vhd", "inspect", path("web.vhd")}).out.find("fixed"), std::string::npos);

    // The same file again is refused, and is left alone.
    auto again =
        slipway_run({"image", "deploy", "--store", path("store"), "--name", "web", "--target", path("web.vhd")});
    EXPECT_EQ(again.code, kExitFailed);
    EXPECT_NE(again.error.find("base.exists"), std::string::npos) << again.error;
    EXPECT_EQ(read_file(dir / "web.vhd")->size(), content.size() + 512);
}

TEST(Slipway, a_vhd_goes_through_its_life_by_the_command_line) {
    auto dir = TempDir::create("console").value();
    auto path = [&](const char* name) { return (dir / name).string(); };
    Bytes content(3u << 20);
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i * i >> 9);
    ASSERT_TRUE(write_file_atomic(dir / "disk.img", content).ok());
    auto done = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "vhd");
        auto r = slipway_run(arguments);
        EXPECT_EQ(r.code, kExitDone) << arguments[1] << ": " << r.out << r.error;
        return r.out;
    };
    done({"convert", "--from", path("disk.img"), "--to", path("base.vhd"), "--type", "dynamic"});
    done({"difference", "--parent", path("base.vhd"), "--to", path("child.vhd")});
    EXPECT_NE(done({"inspect", path("child.vhd"), "--json"}).find("\"type\":\"differencing\""), std::string::npos);
    EXPECT_NE(done({"inspect", path("base.vhd")}).find("child.vhd"), std::string::npos);
    auto refused = slipway_run({"vhd", "compact", path("base.vhd")});
    EXPECT_EQ(refused.code, kExitFailed);
    EXPECT_NE(refused.error.find("disks.vhd-has-children"), std::string::npos) << refused.error;
    done({"merge", path("child.vhd"), "--to", path("flat.img"), "--type", "raw"});
    EXPECT_EQ(read_file(dir / "flat.img").value(), content);
    std::filesystem::rename(dir / "base.vhd", dir / "moved.vhd");
    EXPECT_EQ(slipway_run({"vhd", "inspect", path("child.vhd")}).code, kExitWarnings);
    done({"reconnect", path("child.vhd"), "--parent", path("moved.vhd")});
    done({"merge", path("child.vhd")});
    EXPECT_FALSE(std::filesystem::exists(dir / "child.vhd"));
    done({"resize", path("moved.vhd"), "--size", "8M"});
    done({"compact", path("moved.vhd"), "--unused"});
    EXPECT_NE(done({"check", path("moved.vhd")}).find("sound"), std::string::npos);
    std::filesystem::resize_file(dir / "moved.vhd", std::filesystem::file_size(dir / "moved.vhd") - 512);
    EXPECT_EQ(slipway_run({"vhd", "check", path("moved.vhd")}).code, kExitFailed);
    EXPECT_EQ(slipway_run({"vhd", "inspect", path("moved.vhd")}).code, kExitWarnings);
    done({"check", path("moved.vhd"), "--repair"});
    done({"inspect", path("moved.vhd")});
}

TEST(RestClient, sends_no_token_in_the_clear) {
    auto opened = RestClient::open({"http://127.0.0.1:8480", "", "secret"});
    ASSERT_FALSE(opened);
    EXPECT_TRUE(opened.error().is(errors::kInTheClear));
}

TEST(Slipway, a_listing_that_cannot_be_written_is_a_failure) {
    const char* bin = std::getenv("SLIPWAY_BIN");
    auto command = std::string(bin ? bin : "bin") + "/slipway image list --store \"$0\" > /dev/full";
    auto dir = TempDir::create("console").value();
    ASSERT_TRUE(write_file_atomic(dir / "disk.img", Bytes(1u << 20)).ok());
    auto store = (dir / "store").string();
    slipway_run({"image", "capture", "--source", (dir / "disk.img").string(), "--store", store, "--name", "web"});
    EXPECT_EQ(run_command({"/bin/sh", "-c", command, store})->exit_code, kExitFailed);
}

TEST(Slipway, says_what_is_wrong_and_what_to_do) {
    auto nothing = slipway_run({"image", "show", "web", "--store", "/nonexistent"});
    EXPECT_EQ(nothing.code, kExitFailed);
    EXPECT_NE(nothing.error.find("what to do:"), std::string::npos) << nothing.error;
    EXPECT_EQ(slipway_run({"image", "capture", "--name", "x"}).code, kExitUsage);
    EXPECT_EQ(slipway_run({"nonsense"}).code, kExitUsage);
    auto no_server = slipway_run({"device", "list", "--json"});
    EXPECT_EQ(no_server.code, kExitFailed);
    EXPECT_NE(no_server.out.find("console.no-server"), std::string::npos) << no_server.out;
    EXPECT_EQ(slipway_run({"--version"}).code, kExitDone);
    EXPECT_NE(slipway_run({"image", "capture", "--help"}).out.find("Examples:"), std::string::npos);
}
