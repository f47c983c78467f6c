// SPDX-License-Identifier: GPL-3.0-or-later
// What a device's next network boot does, and by whose word: pure, over rows of the database.
#pragma once

#include <memory>
#include <mutex>

#include "deploy-server/db/database.hpp"
#include "pxe/policy.hpp"

namespace slipway::server {

struct NextBoot {
    pxe::Action action = pxe::Action::Ignore;
    std::string why;
    bool operator==(const NextBoot&) const = default;
};
// Under control: what a job said last; else the device's own PXE action; else the global job template's. A VM host's
// system is left alone where nobody says otherwise. Not under control: ignored.
NextBoot next_boot(const DeviceRow& device, const NetbootSettings& settings);
NextBoot next_boot_of_unknown(const NetbootSettings& settings);  // ignored, but for what it sets off

// What PXE needs to know besides. kind: of the device's image.
pxe::Decision decision_for(const DeviceRow& device, const NextBoot& boot, pxe::ImageKind kind);
pxe::LocalBoot local_boot_of(const DeviceRow& device);  // its own, or its firmware's row

// The words of the database and of REST; error: server.bad-request.
Status check_netboot(const NetbootSettings& settings);
Status check_netboot(const DeviceRow& device);

// The settings in memory, for whoever answers packets; the database has them too.
class SettingsInUse {
public:
    NetbootSettings get() const {
        std::lock_guard lock(mutex_);
        return value_;
    }
    void set(NetbootSettings value) {
        std::lock_guard lock(mutex_);
        value_ = std::move(value);
    }

private:
    mutable std::mutex mutex_;
    NetbootSettings value_;
};

}  // namespace slipway::server
