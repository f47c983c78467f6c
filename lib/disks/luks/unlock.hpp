// SPDX-License-Identifier: GPL-3.0-or-later
// Opens LUKS volumes in user space: libcryptsetup finds the volume key from a passphrase (nothing is activated, no
// device-mapper is needed), OpenSSL decrypts what is read. aes-xts-plain64 is what is known here.
#pragma once

#include <string>
#include <vector>

#include "lib/disks/volumes/luks.hpp"

namespace slipway::disks {

// A passphrase, or the content of a key file: bytes. Kept in memory as long as the opener is.
class LuksKeys final : public LuksOpener {
public:
    explicit LuksKeys(std::vector<std::string> keys) : keys_(std::move(keys)) {}
    ~LuksKeys() override;
    LuksKeys(const LuksKeys&) = delete;
    LuksKeys& operator=(const LuksKeys&) = delete;
    Result<OpenedLuks> open(BlockDevice& volume, const LuksHeader& header) override;

private:
    std::vector<std::string> keys_;
};

}  // namespace slipway::disks
