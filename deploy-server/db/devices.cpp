// SPDX-License-Identifier: GPL-3.0-or-later
// Devices, groups, tokens.
#include "deploy-server/db/database.hpp"
#include "deploy-server/db/json.hpp"
#include "deploy-server/errors.hpp"

namespace slipway::server {

static constexpr std::string_view kDeviceColumns =
    "SELECT id, name, description, kind, controlled, power_driver, power_command, vmhost, boot_action, hardware, "
    "agent_version, agent_kind, boot_id, last_seen, pxe_action, pxe_image, loader, local_boot, secure_boot, "
    "tftp_upload FROM devices ";

static DeviceRow read_device(Row r) {
    DeviceRow d;
    d.id = r.number(0);
    d.name = r.text(1);
    d.description = r.text(2);
    d.kind = r.text(3);
    d.controlled = r.number(4) != 0;
    d.power_driver = r.text(5);
    d.power_command = texts_from_json(r.text(6));
    d.vmhost = r.text(7);
    d.boot_action = r.text(8);
    d.hardware = r.text(9);
    d.agent_version = r.text(10);
    d.agent_kind = r.text(11);
    d.boot_id = r.text(12);
    d.last_seen_ms = r.number(13);
    d.pxe_action = r.text(14);
    d.pxe_image = r.text(15);
    d.loader = r.text(16);
    d.local_boot = r.text(17);
    d.secure_boot = r.text(18);
    d.tftp_upload = r.number(19) != 0;
    return d;
}

static Result<std::vector<DeviceRow>> select_devices(Sqlite& db, std::string_view where,
                                                     std::initializer_list<SqlValue> values) {
    std::vector<DeviceRow> out;
    TRY(db.query(std::string(kDeviceColumns) + std::string(where) + " ORDER BY name", values,
                 [&](Row r) { out.push_back(read_device(r)); }));
    for (auto& d : out)
        TRY(db.query("SELECT mac FROM macs WHERE device = ? ORDER BY place", {d.id},
                     [&](Row r) { d.macs.push_back(r.text(0)); }));
    return out;
}

static Result<std::optional<DeviceRow>> first_of(Result<std::vector<DeviceRow>> rows) {
    auto found = TRY(std::move(rows));
    return found.empty() ? std::optional<DeviceRow>() : std::optional(std::move(found.front()));
}

Result<std::vector<DeviceRow>> Database::devices() { return select_devices(*sqlite_, "", {}); }
Result<std::optional<DeviceRow>> Database::device(std::string_view name) {
    return first_of(select_devices(*sqlite_, "WHERE name = ?", {name}));
}
Result<std::optional<DeviceRow>> Database::device_by_id(std::int64_t id) {
    return first_of(select_devices(*sqlite_, "WHERE id = ?", {id}));
}
Result<std::optional<DeviceRow>> Database::device_by_mac(const MacAddress& mac) {
    return first_of(select_devices(*sqlite_, "WHERE id = (SELECT device FROM macs WHERE mac = ?)", {mac.text()}));
}

static Status store_macs(Sqlite& db, std::int64_t device, const std::vector<std::string>& macs) {
    TRY(db.run("DELETE FROM macs WHERE device = ?", {device}));
    std::int64_t place = 0;
    for (const auto& mac : macs) {
        std::int64_t holder = 0;
        TRY(db.query("SELECT device FROM macs WHERE mac = ?", {mac}, [&](Row r) { holder = r.number(0); }));
        if (holder) return make_error(errors::kExists, "another device has the MAC {}", mac);
        TRY(db.run("INSERT INTO macs(mac, device, place) VALUES (?, ?, ?)", {mac, device, place++}));
    }
    return {};
}

Result<DeviceRow> Database::add_device(const DeviceRow& d) {
    std::int64_t id = 0;
    TRY(sqlite_->transaction([&]() -> Status {
        if (TRY(device(d.name))) return make_error(errors::kExists, "there is a device '{}'", d.name);
        TRY(
            sqlite_->run("INSERT INTO devices(name, description, kind, controlled, power_driver, power_command, "
                         "vmhost, boot_action, pxe_action, pxe_image, loader, local_boot, secure_boot, tftp_upload) "
                         "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                         {d.name, d.description, d.kind, std::int64_t{d.controlled}, d.power_driver,
                          texts_to_json(d.power_command), d.vmhost, d.boot_action, d.pxe_action, d.pxe_image, d.loader,
                          d.local_boot, d.secure_boot, std::int64_t{d.tftp_upload}}));
        id = sqlite_->last_id();
        return store_macs(*sqlite_, id, d.macs);
    }));
    return std::move(*TRY(device_by_id(id)));
}

Status Database::update_device(const DeviceRow& d) {
    return sqlite_->transaction([&]() -> Status {
        auto other = TRY(device(d.name));
        if (other && other->id != d.id) return make_error(errors::kExists, "there is a device '{}'", d.name);
        TRY(sqlite_->run(
            "UPDATE devices SET name = ?, description = ?, kind = ?, power_driver = ?, "
            "power_command = ?, vmhost = ?, pxe_action = ?, pxe_image = ?, loader = ?, local_boot = ?, secure_boot = "
            "?, "
            "tftp_upload = ? WHERE id = ?",
            {d.name, d.description, d.kind, d.power_driver, texts_to_json(d.power_command), d.vmhost, d.pxe_action,
             d.pxe_image, d.loader, d.local_boot, d.secure_boot, std::int64_t{d.tftp_upload}, d.id}));
        return store_macs(*sqlite_, d.id, d.macs);
    });
}

Status Database::set_control(std::int64_t id, bool controlled, std::string_view boot_action) {
    return sqlite_->run("UPDATE devices SET controlled = ?, boot_action = ? WHERE id = ?",
                        {std::int64_t{controlled}, boot_action, id});
}
Status Database::set_boot_action(std::int64_t id, std::string_view action) {
    return sqlite_->run("UPDATE devices SET boot_action = ? WHERE id = ?", {action, id});
}
Status Database::set_agent(const DeviceRow& d) {
    return sqlite_->run(
        "UPDATE devices SET hardware = ?, agent_version = ?, agent_kind = ?, boot_id = ?, last_seen = ? "
        "WHERE id = ?",
        {d.hardware, d.agent_version, d.agent_kind, d.boot_id, d.last_seen_ms, d.id});
}
Status Database::set_inventory(std::int64_t id, std::string_view xml) {
    return sqlite_->run("UPDATE devices SET inventory = ? WHERE id = ?", {xml, id});
}
Result<std::string> Database::inventory(std::int64_t id) {
    std::string out;
    TRY(sqlite_->query("SELECT inventory FROM devices WHERE id = ?", {id}, [&](Row r) { out = r.text(0); }));
    return out;
}
Status Database::set_seen(std::int64_t id, std::int64_t seen_ms) {
    return sqlite_->run("UPDATE devices SET last_seen = ? WHERE id = ?", {seen_ms, id});
}

Status Database::set_secure_boot(std::int64_t id, std::string_view state) {
    return sqlite_->run("UPDATE devices SET secure_boot = ? WHERE id = ?", {state, id});
}

static constexpr std::int64_t kAlertsKept = 20;

Status Database::add_alert(std::int64_t id, const AlertRow& a) {
    return sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("INSERT INTO alerts(device, time, name, text) VALUES (?, ?, ?, ?)",
                         {id, a.time_ms, a.name, a.text}));
        return sqlite_->run(
            "DELETE FROM alerts WHERE device = ?1 AND id NOT IN "
            "(SELECT id FROM alerts WHERE device = ?1 ORDER BY id DESC LIMIT ?2)",
            {id, kAlertsKept});
    });
}

Result<std::vector<AlertRow>> Database::alerts(std::int64_t id) {
    std::vector<AlertRow> out;
    TRY(sqlite_->query("SELECT time, name, text FROM alerts WHERE device = ? ORDER BY id", {id}, [&](Row r) {
        out.push_back({r.number(0), r.text(1), r.text(2)});
    }));
    return out;
}

Result<std::int64_t> Database::count_devices() {
    std::int64_t out = 0;
    TRY(sqlite_->query("SELECT count(*) FROM devices", {}, [&](Row r) { out = r.number(0); }));
    return out;
}

Result<NetbootSettings> Database::netboot_settings() {
    NetbootSettings out;
    TRY(sqlite_->query("SELECT unknown, description, default_job, variables, action FROM netboot_settings", {},
                       [&](Row r) {
                           out = {r.text(0), r.text(1), r.text(2), values_from_json(r.text(3)), r.text(4)};
                       }));
    return out;
}

Status Database::set_netboot_settings(const NetbootSettings& s) {
    return sqlite_->run("INSERT OR REPLACE INTO netboot_settings VALUES (1, ?, ?, ?, ?, ?)",
                        {s.unknown, s.description, s.default_job, values_to_json(s.variables), s.action});
}

Result<DistributionSettings> Database::distribution_settings() {
    DistributionSettings out;
    TRY(
        sqlite_->query("SELECT multicast, adaptive, rate, group_address, port, ttl, interface, wait, start_machines, "
                       "limits, windows, report_first, report_last FROM "
                       "distribution_settings",
                       {}, [&](Row r) {
                           out.multicast = r.number(0) != 0;
                           out.adaptive = r.number(1) != 0;
                           out.rate = static_cast<std::uint64_t>(r.number(2));
                           out.group = IpAddress::parse(r.text(3)).value_or(IpAddress{});
                           out.port = static_cast<std::uint16_t>(r.number(4));
                           out.ttl = static_cast<unsigned>(r.number(5));
                           out.interface = IpAddress::parse(r.text(6)).value_or(IpAddress{});
                           out.wait_seconds = static_cast<unsigned>(r.number(7));
                           out.start_machines = static_cast<unsigned>(r.number(8));
                           out.limits = limits_from_json(r.text(9));
                           out.windows = windows_from_json(r.text(10));
                           out.report_first = static_cast<std::uint16_t>(r.number(11));
                           out.report_last = static_cast<std::uint16_t>(r.number(12));
                       }));
    return out;
}

Status Database::set_distribution_settings(const DistributionSettings& s) {
    const auto number = [](auto v) { return static_cast<std::int64_t>(v); };
    const auto group = s.group.text(), interface = s.interface.text();
    return sqlite_->run(
        "INSERT OR REPLACE INTO distribution_settings VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {number(s.multicast), number(s.adaptive), number(s.rate), group, number(s.port), number(s.ttl), interface,
         number(s.wait_seconds), number(s.start_machines), limits_to_json(s.limits), windows_to_json(s.windows),
         number(s.report_first), number(s.report_last)});
}

Result<bool> Database::remove_device(std::string_view name) {
    bool removed = false;
    TRY(sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("DELETE FROM devices WHERE name = ?", {name}));
        removed = sqlite_->changes() > 0;
        return {};
    }));
    return removed;
}

Result<std::vector<Database::Group>> Database::groups() {
    std::vector<Group> out;
    TRY(
        sqlite_->query("SELECT g.name, d.name FROM groups g LEFT JOIN group_members m ON m.\"group\" = g.id "
                       "LEFT JOIN devices d ON d.id = m.device ORDER BY g.name, d.name",
                       {}, [&](Row r) {
                           if (out.empty() || out.back().name != r.text(0)) out.push_back({r.text(0), {}});
                           if (!r.is_null(1)) out.back().devices.push_back(r.text(1));
                       }));
    return out;
}

Status Database::put_group(const Group& group) {
    return sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("DELETE FROM groups WHERE name = ?", {group.name}));
        TRY(sqlite_->run("INSERT INTO groups(name) VALUES (?)", {group.name}));
        auto id = sqlite_->last_id();
        for (const auto& name : group.devices) {
            auto found = TRY(device(name));
            if (!found) return make_error(errors::kNoDevice, "no device '{}'", name);
            TRY(sqlite_->run("INSERT OR IGNORE INTO group_members VALUES (?, ?)", {id, found->id}));
        }
        return {};
    });
}

Result<bool> Database::remove_group(std::string_view name) {
    bool removed = false;
    TRY(sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("DELETE FROM groups WHERE name = ?", {name}));
        removed = sqlite_->changes() > 0;
        return {};
    }));
    return removed;
}

Status Database::add_token(const TokenRow& t) {
    return sqlite_->transaction([&]() -> Status {
        // One at a time is good: who listened to an earlier boot has nothing. Used ones are kept to be refused by name.
        TRY(sqlite_->run("DELETE FROM tokens WHERE device = ? AND mac = ? AND used = 0", {t.device_id, t.mac}));
        return sqlite_->run("INSERT INTO tokens(hash, device, mac, expires) VALUES (?, ?, ?, ?)",
                            {t.hash, t.device_id, t.mac, t.expires_ms});
    });
}

Result<std::optional<TokenRow>> Database::token(std::string_view hash) {
    std::optional<TokenRow> out;
    TRY(sqlite_->query("SELECT hash, device, mac, expires, used, request_hash, certificate FROM tokens WHERE hash = ?",
                       {hash}, [&](Row r) {
                           out = TokenRow{r.text(0),   r.number(1), r.text(2), r.number(3),
                                          r.number(4), r.text(5),   r.text(6)};
                       }));
    return out;
}

Result<bool> Database::use_token(const TokenRow& t) {
    bool mine = false;
    TRY(sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("UPDATE tokens SET used = ?, request_hash = ?, certificate = ? WHERE hash = ? AND used = 0",
                         {t.used_ms, t.request_hash, t.certificate, t.hash}));
        mine = sqlite_->changes() == 1;
        return {};
    }));
    return mine;
}

Result<bool> Database::void_token(const TokenRow& t) {
    bool first = false;
    TRY(sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("UPDATE certificates SET void = 1 WHERE device = ? AND token = ? AND void <> 1",
                         {t.device_id, t.hash}));
        first = sqlite_->changes() > 0;
        // Nor is the first let in again by what it asked first.
        TRY(sqlite_->run("UPDATE tokens SET request_hash = '', certificate = '' WHERE hash = ?", {t.hash}));
        return sqlite_->run("DELETE FROM tokens WHERE device = ? AND mac = ? AND used = 0", {t.device_id, t.mac});
    }));
    return first;
}

Status Database::add_certificate(std::int64_t device_id, std::string_view token_hash, std::string_view certificate,
                                 std::int64_t now_ms, std::int64_t expires_ms) {
    return sqlite_->run("INSERT INTO certificates(device, token, pem, issued, expires) VALUES (?, ?, ?, ?, ?)",
                        {device_id, token_hash, certificate, now_ms, expires_ms});
}

Result<Database::CertificateState> Database::certificate_state(std::int64_t device_id, std::string_view tag) {
    auto state = CertificateState::Good;
    TRY(sqlite_->query("SELECT void FROM certificates WHERE device = ? AND void > 0 AND substr(token, 1, ?) = ?",
                       {device_id, static_cast<std::int64_t>(tag.size()), tag},
                       [&](Row r) { state = r.number(0) == 1 ? CertificateState::Void : CertificateState::Replaced; }));
    return state;
}

Status Database::replace_certificates(std::int64_t device_id, std::string_view by_token_hash) {
    return sqlite_->run(
        "UPDATE certificates SET void = 2 WHERE device = ? AND void = 0 AND token <> ? AND token IN "
        "(SELECT hash FROM tokens WHERE device = ? AND mac <> '')",
        {device_id, by_token_hash, device_id});
}

Result<bool> Database::void_boot_certificates(std::int64_t device_id) {
    bool any = false;
    TRY(sqlite_->transaction([&]() -> Status {
        TRY(
            sqlite_->run("UPDATE certificates SET void = 1 WHERE device = ? AND void = 0 AND token IN "
                         "(SELECT hash FROM tokens WHERE device = ? AND mac <> '')",
                         {device_id, device_id}));
        any = sqlite_->changes() > 0;
        TRY(sqlite_->run("UPDATE certificates SET void = 1 WHERE device = ? AND void = 2", {device_id}));
        return sqlite_->run("DELETE FROM tokens WHERE device = ? AND mac <> '' AND used = 0", {device_id});
    }));
    return any;
}

}  // namespace slipway::server
