// SPDX-License-Identifier: GPL-3.0-or-later
// Disk -> store -> a target full of something else, and what must be the same afterwards.
#pragma once

#include <gtest/gtest.h>

#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/store.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/test/checks.hpp"

namespace slipway::imagestore::test {

class RoundTrip {
public:
    RoundTrip() {
        StoreOptions options;
        options.create = true;
        store_ = Store::open(dir_ / "store", options).value();
    }
    const TempDir& dir() const { return dir_; }
    CaptureReport capture(const std::filesystem::path& source) {
        auto device = disks::FileDisk::open(source, disks::OpenMode::ReadOnly).value();
        auto writer = store_->writer().value();
        CaptureRequest request;
        request.name = "trip";
        request.source = "test";
        request.disks = {{device.get(), {"sda", "S1", "", 0, 0, 0}, {}}};
        auto report = capture_disks(request, *writer);
        EXPECT_TRUE(report.ok()) << report.error().describe();
        return report.ok() ? *report : CaptureReport{};
    }
    // Onto a target that is there already.
    void deploy(const std::filesystem::path& target) {
        auto device = disks::FileDisk::open(target, disks::OpenMode::ReadWrite).value();
        auto manifest = store_->manifest(ImageRef::parse("trip").value()).value();
        DeployRequest request;
        request.manifest = manifest.get();
        request.target = device.get();
        request.verify = true;
        auto report = deploy_disk(request, *store_);
        EXPECT_TRUE(report.ok()) << report.error().describe();
    }
    // A target of the source's size whose every byte is another's.
    std::filesystem::path dirty_target(std::uint64_t size) {
        auto path = dir_ / "target.img";
        disks::test::make_file(path, size);
        auto device = disks::FileDisk::open(path, disks::OpenMode::ReadWrite).value();
        Bytes junk(1u << 20, std::byte{0xa5});
        for (std::uint64_t at = 0; at < size; at += junk.size())
            EXPECT_TRUE(device->write(at, ByteView(junk).first(std::min<std::uint64_t>(junk.size(), size - at))).ok());
        return path;
    }

private:
    TempDir dir_ = TempDir::create("roundtrip").value();
    std::unique_ptr<Store> store_;
};

inline Bytes bytes_at(const std::filesystem::path& path, std::uint64_t at, std::uint64_t length) {
    Bytes out(length);
    auto device = disks::FileDisk::open(path, disks::OpenMode::ReadOnly).value();
    EXPECT_TRUE(device->read(at, out).ok());
    return out;
}

inline void expect_same(const std::filesystem::path& a, const std::filesystem::path& b, std::uint64_t from,
                        std::uint64_t to, const std::string& what) {
    constexpr std::uint64_t kPiece = 1u << 20;
    for (auto at = from; at < to; at += kPiece) {
        auto length = std::min(kPiece, to - at);
        ASSERT_TRUE(bytes_at(a, at, length) == bytes_at(b, at, length)) << what << " differs behind byte " << at;
    }
}

// What the table's volumes do not claim: table, boot code, gaps, boot records, the backup at the end.
inline void expect_same_outside(const std::filesystem::path& source, const std::filesystem::path& target,
                                const std::vector<CaptureVolumeNote>& volumes) {
    std::uint64_t at = 0;
    for (const auto& v : volumes) {
        expect_same(source, target, at, v.volume.offset, "what lies between the volumes");
        at = v.volume.offset + v.volume.length;
    }
    expect_same(source, target, at, disks::FileDisk::open(source, disks::OpenMode::ReadOnly).value()->size(),
                "what lies behind the volumes");
}

// A piece of a file, as a file.
inline void copy_range(const std::filesystem::path& from, std::uint64_t from_at, const std::filesystem::path& to,
                       std::uint64_t to_at, std::uint64_t length) {
    auto source = disks::FileDisk::open(from, disks::OpenMode::ReadOnly).value();
    if (!std::filesystem::exists(to)) disks::test::make_file(to, to_at + length);
    auto target = disks::FileDisk::open(to, disks::OpenMode::ReadWrite).value();
    Bytes piece(1u << 20);
    for (std::uint64_t at = 0; at < length; at += piece.size()) {
        auto part = std::span(piece).first(std::min<std::uint64_t>(piece.size(), length - at));
        ASSERT_TRUE(source->read(from_at + at, part).ok());
        ASSERT_TRUE(target->write(to_at + at, part).ok());
    }
}

}  // namespace slipway::imagestore::test
