// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/luks/unlock.hpp"

#include <libcryptsetup.h>
#include <openssl/crypto.h>
#include <sys/mman.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/luks/xts.hpp"

namespace slipway::disks {

namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kMaxHeader = 16u << 20;  // LUKS2's, as cryptsetup makes it; LUKS1 has 2 MiB
constexpr std::uint64_t kBinaryHeaders = 32768;  // LUKS2: two of at least 16 KiB
constexpr std::size_t kMaxKey = 64;

struct FreeDevice {
    void operator()(crypt_device* device) const { crypt_free(device); }
};
using Device = std::unique_ptr<crypt_device, FreeDevice>;

struct Key {
    std::array<std::byte, kMaxKey> bytes{};
    std::size_t size = kMaxKey;
    ~Key() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

// libcryptsetup wants a file, and our volume may lie inside others: its header goes into memory that has a name.
Result<UniqueFd> copy_header(BlockDevice& volume) {
    UniqueFd fd(::memfd_create("luks-header", MFD_CLOEXEC));
    if (!fd.valid()) return errno_error(errno, "memory for the header of an encrypted volume");
    // As long as the volume, so that nothing seems cut off; only its beginning is filled.
    if (::ftruncate(fd.get(), static_cast<off_t>(volume.size())) != 0) return errno_error(errno, "the header's copy");
    Bytes piece(1u << 20);
    auto end = std::min(volume.size(), kMaxHeader);
    for (std::uint64_t at = 0; at < end; at += piece.size()) {
        auto part = std::span(piece).first(std::min<std::uint64_t>(piece.size(), end - at));
        TRY(volume.read(at, part));
        if (!all_zero(part)) TRY(pwrite_full(fd.get(), part, at));
    }
    return fd;
}

Result<Device> load(const UniqueFd& header) {
    crypt_device* made = nullptr;
    auto path = "/proc/self/fd/" + std::to_string(header.get());
    if (crypt_init(&made, path.c_str()) < 0) return make_error(errors::kLuksUnsupported, "libcryptsetup cannot begin");
    Device device(made);
    crypt_set_log_callback(
        device.get(), [](int, const char*, void*) {}, nullptr);
    if (crypt_load(device.get(), CRYPT_LUKS, nullptr) < 0)
        return make_error(errors::kLuksUnsupported, "its header is damaged");
    return Result<Device>(std::move(device));
}

std::string_view text(const char* from) { return from ? from : ""; }

Status check_kind(crypt_device* device) {
    std::uint32_t requirements = 0;
    if (text(crypt_get_type(device)) == CRYPT_LUKS2) {
        if (crypt_persistent_flags_get(device, CRYPT_FLAGS_REQUIREMENTS, &requirements) < 0 || requirements != 0)
            return make_error(errors::kLuksUnsupported, "it is being encrypted anew, or wants a newer program");
        crypt_params_integrity integrity{};
        if (crypt_get_integrity_info(device, &integrity) == 0 && integrity.integrity)
            return make_error(errors::kLuksUnsupported, "it has integrity tags");
    }
    if (text(crypt_get_cipher(device)) != "aes" || text(crypt_get_cipher_mode(device)) != "xts-plain64")
        return make_error(errors::kLuksUnsupported, "its cipher {}-{} is not known here",
                          text(crypt_get_cipher(device)), text(crypt_get_cipher_mode(device)));
    return {};
}

// What opens the volume again: the headers and the areas of its keys.
std::vector<Extent> header_areas(crypt_device* device, std::uint64_t data) {
    bool two = text(crypt_get_type(device)) == CRYPT_LUKS2;
    std::uint64_t metadata = 0, areas = 0;
    if (!two || crypt_get_metadata_size(device, &metadata, &areas) < 0) return {{0, data}};
    std::vector<Extent> out{{0, std::max(2 * metadata, kBinaryHeaders)}};
    for (int slot = 0; slot < crypt_keyslot_max(CRYPT_LUKS2); ++slot) {
        auto status = crypt_keyslot_status(device, slot);
        if (status == CRYPT_SLOT_INACTIVE) continue;
        std::uint64_t offset = 0, length = 0;
        if (crypt_keyslot_area(device, slot, &offset, &length) < 0) return {{0, data}};
        out.push_back({offset, length});
    }
    return out;
}

}  // namespace

LuksKeys::~LuksKeys() {
    for (auto& key : keys_) OPENSSL_cleanse(key.data(), key.size());
}

Result<OpenedLuks> LuksKeys::open(BlockDevice& volume, const LuksHeader&) {
    auto header = TRY(copy_header(volume));
    auto device = TRY(load(header));
    TRY(check_kind(device.get()));
    Key key;
    bool found = false;
    for (const auto& passphrase : keys_) {
        key.size = kMaxKey;
        found = crypt_volume_key_get(device.get(), CRYPT_ANY_SLOT, reinterpret_cast<char*>(key.bytes.data()), &key.size,
                                     passphrase.data(), passphrase.size()) >= 0;
        if (found) break;
    }
    if (!found) return make_error(errors::kLuksKey, "none of the {} keys given opens it", keys_.size());
    XtsShape shape;
    shape.data = crypt_get_data_offset(device.get()) * kSector;
    shape.iv_offset = crypt_get_iv_offset(device.get());
    shape.sector = static_cast<unsigned>(crypt_get_sector_size(device.get()));
    bool sector = shape.sector >= 512 && shape.sector <= 4096 && (shape.sector & (shape.sector - 1)) == 0;
    if ((key.size != 32 && key.size != 64) || !sector || shape.data == 0 || shape.data >= volume.size())
        return make_error(errors::kLuksUnsupported, "its key, sectors or data are of no known size");
    OpenedLuks out;
    out.plain = std::make_unique<XtsVolume>(volume, shape, ByteView(key.bytes).first(key.size));
    out.header = header_areas(device.get(), shape.data);
    return Result<OpenedLuks>(std::move(out));
}

}  // namespace slipway::disks
