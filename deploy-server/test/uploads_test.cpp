// SPDX-License-Identifier: GPL-3.0-or-later
// Which devices may send files, where these go, and how much there may be of them.
#include "deploy-server/netboot/uploads.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/temp_dir.hpp"
#include "tftp/errors.hpp"

namespace slipway::server {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class UploadsTest : public testing::Test {
protected:
    void SetUp() override {
        fs::create_directory(dir / "uploads");
        DeviceRow d;
        d.name = "switch7";
        d.macs = {mac.text()};
        d.tftp_upload = true;
        auto row = db->add_device(d).value();
        ASSERT_TRUE(db->set_control(row.id, true, ""));
        start({});
    }
    void start(UploadQuota quota) {
        uploads = std::make_unique<Uploads>(
            *db, dir / "uploads", [this](Ipv4Address) { return holders; },
            [this](const MacAddress& m, pxe::Uploaded what) {
                told.emplace_back(m.text() + " " + what.file, what.bytes);
            },
            quota);
    }
    Result<std::unique_ptr<tftp::Upload>> open(const std::string& name) { return uploads->open(name, client); }
    Status send(const std::string& name, const std::string& text) {
        auto upload = TRY(open(name));
        TRY(upload->write(as_bytes(text)));
        return upload->finish();
    }
    void change(const std::function<void(DeviceRow&)>& how) {
        auto d = *db->device("switch7").value();
        how(d);
        ASSERT_TRUE(db->update_device(d));
    }
    std::vector<std::string> kept() const {
        std::vector<std::string> out;
        std::error_code failed;
        for (const auto& e : fs::directory_iterator(dir / "uploads/switch7", failed))
            out.push_back(e.path().filename());
        std::sort(out.begin(), out.end());
        return out;
    }

    TempDir dir = TempDir::create("uploads").value();
    std::unique_ptr<Database> db = Database::open(dir / "db.sqlite").value();
    MacAddress mac = *MacAddress::parse("52:54:00:51:00:07");
    UdpEndpoint client{*Ipv4Address::parse("10.99.0.7"), 2000};
    std::vector<MacAddress> holders{mac};
    std::vector<std::pair<std::string, std::uint64_t>> told;
    std::unique_ptr<Uploads> uploads;
};

}  // namespace

TEST_F(UploadsTest, a_device_that_is_told_to_sends_a_file_into_a_folder_of_its_own) {
    ASSERT_TRUE(send("/startup-config", "hostname switch7\n"));
    EXPECT_EQ(read_text_file(dir / "uploads/switch7/startup-config").value(), "hostname switch7\n");
    EXPECT_EQ(fs::status(dir / "uploads/switch7").permissions(), fs::perms::owner_all);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0], (std::pair<std::string, std::uint64_t>("52:54:00:51:00:07 /startup-config", 17)));
}

TEST_F(UploadsTest, whoever_is_not_told_to_is_refused_and_leaves_nothing) {
    change([](DeviceRow& d) { d.tftp_upload = false; });
    EXPECT_TRUE(open("a").error().is(tftp::errors::kAccess));
    change([](DeviceRow& d) { d.tftp_upload = true; });
    ASSERT_TRUE(db->set_control(db->device("switch7").value()->id, false, ""));
    EXPECT_TRUE(open("a").error().is(tftp::errors::kAccess));
    ASSERT_TRUE(db->set_control(db->device("switch7").value()->id, true, ""));
    holders.clear();
    EXPECT_TRUE(open("a").error().is(tftp::errors::kAccess));
    EXPECT_THAT(kept(), IsEmpty());
    // Behind a router the frames are the router's, which is no device; then its claim counts.
    holders = {*MacAddress::parse("52:54:00:99:99:99"), mac};
    EXPECT_TRUE(open("a").ok());
}

TEST_F(UploadsTest, nothing_is_replaced_and_nothing_leaves_the_folder) {
    ASSERT_TRUE(send("a", "first"));
    EXPECT_TRUE(send("a", "second").error().is(tftp::errors::kExists));
    for (const char* name : {"../a", "../switch8/a", "..", "a\\b"}) EXPECT_FALSE(open(name).ok()) << name;
    EXPECT_EQ(read_text_file(dir / "uploads/switch7/a").value(), "first");
    EXPECT_THAT(kept(), ElementsAre("a"));
    EXPECT_EQ(told.size(), 1u);
}

TEST_F(UploadsTest, a_device_has_a_quota_of_bytes_that_all_its_uploads_share) {
    start({.bytes = 10, .files = 9});
    ASSERT_TRUE(send("a", "1234"));
    auto one = open("b").value(), two = open("c").value();
    ASSERT_TRUE(one->write(as_bytes("1234")));
    EXPECT_TRUE(two->write(as_bytes("123")).error().is(slipway::errors::kNoSpace));
    one.reset();  // given up: its bytes are free again
    EXPECT_TRUE(two->write(as_bytes("123456")));
    ASSERT_TRUE(two->finish());
    two.reset();
    EXPECT_TRUE(open("d").error().is(slipway::errors::kNoSpace));
    EXPECT_THAT(kept(), ElementsAre("a", "c"));
}

TEST_F(UploadsTest, a_device_has_a_quota_of_files_too) {
    start({.bytes = 100, .files = 2});
    ASSERT_TRUE(send("a", ""));
    auto one = open("b").value();
    EXPECT_TRUE(open("c").error().is(slipway::errors::kNoSpace));
    one.reset();
    EXPECT_TRUE(open("c").ok());
}

TEST_F(UploadsTest, what_an_earlier_server_left_half_is_gone) {
    ASSERT_TRUE(send("a", "whole"));
    ASSERT_TRUE(write_file_atomic(dir / "uploads/switch7/.upload-1-0", as_bytes("half")));
    start({});
    EXPECT_THAT(kept(), ElementsAre("a"));
}

}  // namespace slipway::server
