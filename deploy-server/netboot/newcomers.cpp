// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/newcomers.hpp"

#include "deploy-server/api/api.hpp"
#include "deploy-server/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

Newcomers::Newcomers(Database& db, Hub& hub, std::filesystem::path sequences,
                     std::shared_ptr<const SettingsInUse> settings)
    : db_(db), hub_(hub), sequences_(std::move(sequences)), settings_(std::move(settings)), thread_([this] {
          run();
      }) {}

void Newcomers::met(const MacAddress& mac) {
    if (mac.is_zero() || mac.is_multicast()) return;
    std::lock_guard lock(mutex_);
    if (stopping_ || waiting_.size() >= kMostWaiting || !known_.insert(mac).second) return;
    waiting_.push_back(mac);
    wake_.notify_all();
}

void Newcomers::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        wake_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void Newcomers::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        auto mac = waiting_.front();
        lock.unlock();
        auto taken = take_in(mac);
        if (!taken && !taken.error().is(errors::kExists))
            log::error("server", "the new machine {}: {}", mac.text(), taken.error().explain());
        lock.lock();
        waiting_.pop_front();
        known_.erase(mac);
        wake_.notify_all();
    }
}

void Newcomers::settle() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return stopping_ || waiting_.empty(); });
}

Status Newcomers::take_in(const MacAddress& mac) {
    auto settings = settings_->get();
    if (settings.unknown == "ignore") return {};
    if (TRY(db_.count_devices()) >= kMostDevices)
        return make_error(errors::kTooManyDevices, "there are {} devices", kMostDevices);
    DeviceRow row;
    row.name = "new-" + mac.compact();
    row.description = settings.description;
    row.macs = {mac.text()};
    row = TRY(db_.add_device(row));
    log::info("server", "a machine with the MAC {} boots by network: device {} was made for it", mac.text(), row.name);
    if (settings.unknown != "control") return {};
    JobRequest job;
    job.sequence_xml = TRY(sequence_text(sequences_, settings.default_job));
    job.sequence_name = settings.default_job;
    job.name = settings.default_job + ": " + row.name;
    job.device = row.name;
    job.variables = settings.variables;
    TRY(hub_.take_control(row.id));
    auto id = TRY(hub_.submit(job));
    log::warning("server",
                 "device {} was taken under control and given job {} ({}), as the settings for unknown machines say",
                 row.name, id, settings.default_job);
    return {};
}

}  // namespace slipway::server
