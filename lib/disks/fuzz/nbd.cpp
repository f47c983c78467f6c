// SPDX-License-Identifier: GPL-3.0-or-later
// Whatever a client sends, the server answers or leaves; a read-only disk stays as it is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "lib/disks/errors.hpp"
#include "lib/disks/nbd/nbd.hpp"

using namespace slipway;
using namespace slipway::disks;

namespace {

class Input final : public nbd::Stream {
public:
    explicit Input(ByteView bytes) : bytes_(bytes) {}
    Result<bool> read(std::span<std::byte> buffer) override {
        if (bytes_.empty() && !buffer.empty()) return false;
        if (bytes_.size() < buffer.size()) return make_error(errors::kNbd, "cut");
        std::copy_n(bytes_.begin(), buffer.size(), buffer.begin());
        bytes_ = bytes_.subspan(buffer.size());
        return true;
    }
    Status write(ByteView) override { return {}; }

private:
    ByteView bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static MemoryDisk disk(128u << 10), kept(128u << 10);
    const auto bytes = std::as_bytes(std::span(data, size));
    Input first(bytes), second(bytes);
    (void)nbd::serve(first, disk, false).ok();
    (void)nbd::serve(second, kept, true).ok();
    if (!all_zero(kept.content())) std::abort();
    return 0;
}
