// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/uploads.hpp"

#include "lib/base/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "tftp/errors.hpp"

namespace slipway::server {

namespace fs = std::filesystem;

// Holds its place in the device's quota until it is over, and tells of what became whole.
class Uploads::Counted final : public tftp::Upload {
public:
    Counted(std::unique_ptr<tftp::Upload> to, std::shared_ptr<Use> use, UploadQuota quota,
            std::function<void(std::uint64_t)> whole)
        : to_(std::move(to)), use_(std::move(use)), quota_(quota), whole_(std::move(whole)) {
        ++use_->files;
    }
    ~Counted() override {
        if (finished_) return;
        --use_->files;
        use_->bytes -= bytes_;
    }
    Status write(ByteView data) override {
        if (data.size() > quota_.bytes - std::min(quota_.bytes, use_->bytes))
            return make_error(slipway::errors::kNoSpace, "the device's uploads may take {}", human_bytes(quota_.bytes));
        TRY(to_->write(data));
        bytes_ += data.size();
        use_->bytes += data.size();
        return {};
    }
    Status finish() override {
        TRY(to_->finish());
        finished_ = true;
        whole_(bytes_);
        return {};
    }

private:
    std::unique_ptr<tftp::Upload> to_;
    std::shared_ptr<Use> use_;
    UploadQuota quota_;
    std::function<void(std::uint64_t)> whole_;
    std::uint64_t bytes_ = 0;
    bool finished_ = false;
};

Uploads::Uploads(Database& db, fs::path directory, Holders holders, Told told, UploadQuota quota)
    : db_(db), directory_(std::move(directory)), holders_(std::move(holders)), told_(std::move(told)), quota_(quota) {
    std::error_code failed;
    std::vector<fs::path> unfinished;
    for (const auto& device : fs::directory_iterator(directory_, failed)) {
        if (device.is_symlink(failed) || !device.is_directory(failed)) continue;
        for (const auto& file : fs::directory_iterator(device.path(), failed))
            if (file.path().filename().string().starts_with(".upload-")) unfinished.push_back(file.path());
    }
    for (const auto& file : unfinished) fs::remove(file, failed);
}

Result<std::pair<DeviceRow, MacAddress>> Uploads::sender(const UdpEndpoint& client) const {
    for (const auto& mac : holders_(client.address)) {
        auto device = TRY(db_.device_by_mac(mac));
        if (!device) continue;
        if (!device->tftp_upload)
            return make_error(tftp::errors::kAccess,
                              "device '{}' may not upload: `slipway device set {} --tftp-upload on`", device->name,
                              device->name);
        if (!device->controlled)
            return make_error(tftp::errors::kAccess, "device '{}' is not under control", device->name);
        return std::pair(std::move(*device), mac);
    }
    return make_error(tftp::errors::kAccess, "no device is known to have {}", client.address.text());
}

Result<std::shared_ptr<Uploads::Use>> Uploads::use_of(const std::string& device) {
    if (auto use = under_way_[device].lock()) return use;
    std::erase_if(under_way_, [](const auto& entry) { return entry.second.expired(); });
    auto use = std::make_shared<Use>();
    std::error_code failed;
    fs::create_directory(directory_ / device, failed);
    if (!failed) fs::permissions(directory_ / device, fs::perms::owner_all, failed);
    for (fs::directory_iterator it(directory_ / device, failed), end; !failed && it != end; it.increment(failed)) {
        ++use->files;
        std::error_code gone;
        if (it->is_regular_file(gone) && !it->is_symlink(gone)) use->bytes += it->file_size(gone);
    }
    if (failed) return errno_error(failed.value(), (directory_ / device).string());
    under_way_[device] = use;
    return use;
}

Result<std::unique_ptr<tftp::Upload>> Uploads::open(const std::string& name, const UdpEndpoint& client) {
    auto found = sender(client);
    if (!found) {
        log::warning("tftp", "refused the upload '{}' of {}: {}", printable(name), client.text(),
                     found.error().message());
        return std::move(found).error();
    }
    const auto& [device, mac] = *found;
    auto use = TRY(use_of(device.name));
    if (use->files >= quota_.files || use->bytes >= quota_.bytes) {
        log::warning("tftp", "refused the upload '{}' of device {}: STATE/boot/uploads/{} is full ({} files, {})",
                     printable(name), device.name, device.name, use->files, human_bytes(use->bytes));
        return make_error(slipway::errors::kNoSpace, "the device's uploads may be {} files of {} in all", quota_.files,
                          human_bytes(quota_.bytes));
    }
    auto upload = TRY(tftp::store_below(directory_ / device.name, name));
    auto whole = [this, device = device.name, mac, name, client](std::uint64_t bytes) {
        log::info("tftp", "device {} ({}) uploaded '{}', {}, to STATE/boot/uploads/{}", device, client.address.text(),
                  printable(name), human_bytes(bytes), device);
        if (told_) told_(mac, {name, bytes});
    };
    return std::unique_ptr<tftp::Upload>(
        std::make_unique<Counted>(std::move(upload), std::move(use), quota_, std::move(whole)));
}

}  // namespace slipway::server
