// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile VHD: no crash, no read outside, no memory the file does not pay for; what opens reads to its end, and what
// `check` mends opens. The file is the input, in memory: each path is it, so it may be its own parent.
#include <cstdint>
#include <cstdlib>

#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/chain.hpp"
#include "lib/disks/vhd/operations.hpp"

using namespace slipway;
using namespace slipway::disks;

namespace {

constexpr std::size_t kMostBytes = 16u << 20;

class MemoryFiles final : public vhd::Files {
public:
    explicit MemoryFiles(ByteView content) : content_(content.begin(), content.end()) {}

    Result<UniqueFd> open(const std::filesystem::path&, OpenMode) override { return UniqueFd(); }
    Result<std::uint64_t> size(int) override { return content_.size(); }
    Result<std::size_t> read(int, std::span<std::byte> out, std::uint64_t offset) override {
        if (offset >= content_.size()) return std::size_t{0};
        auto n = std::min<std::size_t>(out.size(), content_.size() - offset);
        std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(offset), n, out.begin());
        return n;
    }
    Status write(int, ByteView data, std::uint64_t offset) override {
        if (offset + data.size() > kMostBytes) return make_error(disks::errors::kWrite, "the medium is full");
        if (content_.size() < offset + data.size()) content_.resize(offset + data.size());
        std::copy(data.begin(), data.end(), content_.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    }
    Status clear(int, std::uint64_t offset, std::uint64_t length) override {
        auto end = std::min<std::uint64_t>(content_.size(), offset + length);
        for (; offset < end; ++offset) content_[offset] = std::byte{0};
        return {};
    }
    Status sync(int) override { return {}; }

private:
    Bytes content_;
};

void read_ends(BlockDevice& disk) {
    Bytes buffer(8192);
    for (std::uint64_t at : {std::uint64_t{0}, disk.size() / 2}) {
        auto n = std::min<std::uint64_t>(buffer.size(), disk.size() - at);
        (void)disk.read(at, std::span(buffer).first(n));
    }
    std::uint64_t at = 0;
    for (int i = 0; i < 64; ++i) {
        auto range = disk.next_data(at);
        if (!range.ok() || range->length == 0) break;
        if (range->offset < at || range->offset + range->length > disk.size()) std::abort();
        at = range->offset + range->length;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto view = std::as_bytes(std::span(data, size));
    MemoryFiles files(view);
    auto opened = vhd::open_chain("/fuzz.vhd", {OpenMode::ReadWrite, false, &files});
    if (opened.ok()) {
        read_ends(*opened->disk);
        Bytes piece(700, std::byte{1});
        if (opened->disk->size() >= 2000 && opened->disk->write(300, piece).ok()) {
            Bytes back(700);
            if (!opened->disk->read(300, back).ok() || back != piece) std::abort();
        }
        opened = Error(disks::errors::kRange, "closed");
    }
    MemoryFiles fresh(view);
    VhdWork work;
    work.files = &fresh;
    auto mended = check_vhd("/fuzz.vhd", true, work);
    if (mended.ok() && !mended->errors_left()) {
        auto again = vhd::open_chain("/fuzz.vhd", {OpenMode::ReadOnly, false, &fresh});
        if (!again.ok()) std::abort();
        read_ends(*again->disk);
    }
    return 0;
}
