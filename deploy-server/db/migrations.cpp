// SPDX-License-Identifier: GPL-3.0-or-later
// Each entry brings the schema one version up. An entry that was released is never changed.
#include <iterator>

#include "deploy-server/db/database.hpp"
#include "deploy-server/db/migrate.hpp"
#include "deploy-server/errors.hpp"

namespace slipway::server {

static const char* const kMigrations[] = {
    R"sql(
CREATE TABLE devices (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL, kind TEXT NOT NULL,
  controlled INTEGER NOT NULL, power_driver TEXT NOT NULL, power_command TEXT NOT NULL, vmhost TEXT NOT NULL,
  boot_action TEXT NOT NULL, hardware TEXT NOT NULL DEFAULT '', inventory TEXT NOT NULL DEFAULT '', agent_version TEXT NOT NULL DEFAULT '',
  agent_kind TEXT NOT NULL DEFAULT '',   boot_id TEXT NOT NULL DEFAULT '', last_seen INTEGER NOT NULL DEFAULT 0);
CREATE TABLE macs (
  mac TEXT PRIMARY KEY, device INTEGER NOT NULL REFERENCES devices(id) ON DELETE CASCADE, place INTEGER NOT NULL);
CREATE INDEX macs_device ON macs(device);
CREATE TABLE groups (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE group_members (
  "group" INTEGER NOT NULL REFERENCES groups(id) ON DELETE CASCADE,
  device INTEGER NOT NULL REFERENCES devices(id) ON DELETE CASCADE, PRIMARY KEY ("group", device));
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER REFERENCES jobs(id), mode TEXT NOT NULL, name TEXT NOT NULL,
  sequence_name TEXT NOT NULL, sequence_xml TEXT NOT NULL, device TEXT NOT NULL, variables TEXT NOT NULL,
  make_device TEXT NOT NULL, state TEXT NOT NULL, created INTEGER NOT NULL, started INTEGER NOT NULL DEFAULT 0,
  ended INTEGER NOT NULL DEFAULT 0);
CREATE INDEX jobs_parent ON jobs(parent);
CREATE INDEX jobs_state ON jobs(state);
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL UNIQUE REFERENCES jobs(id), state TEXT NOT NULL,
  current INTEGER NOT NULL, bulk_key TEXT NOT NULL);
CREATE TABLE steps (
  run INTEGER NOT NULL REFERENCES runs(id), place INTEGER NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (run, place)) WITHOUT ROWID;
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, time INTEGER NOT NULL, level TEXT NOT NULL,
  text TEXT NOT NULL);
CREATE INDEX events_job ON events(job, id);
CREATE TABLE artifacts (
  job INTEGER NOT NULL REFERENCES jobs(id), name TEXT NOT NULL, content_type TEXT NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (job, name));
CREATE TABLE tokens (
  hash TEXT PRIMARY KEY, device INTEGER NOT NULL REFERENCES devices(id) ON DELETE CASCADE, mac TEXT NOT NULL,
  expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0, request_hash TEXT NOT NULL DEFAULT '',
  certificate TEXT NOT NULL DEFAULT '');
CREATE TABLE certificates (
  id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES devices(id) ON DELETE CASCADE, pem TEXT NOT NULL,
  issued INTEGER NOT NULL, expires INTEGER NOT NULL);
)sql",
    R"sql(
ALTER TABLE devices ADD COLUMN pxe_action TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN pxe_image TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN loader TEXT NOT NULL DEFAULT 'auto';
ALTER TABLE devices ADD COLUMN local_boot TEXT NOT NULL DEFAULT 'auto';
ALTER TABLE devices ADD COLUMN secure_boot TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE certificates ADD COLUMN token TEXT NOT NULL DEFAULT '';
ALTER TABLE certificates ADD COLUMN void INTEGER NOT NULL DEFAULT 0;
CREATE INDEX certificates_device ON certificates(device, void);
CREATE TABLE netboot_settings (
  id INTEGER PRIMARY KEY CHECK (id = 1), unknown TEXT NOT NULL, description TEXT NOT NULL, default_job TEXT NOT NULL,
  variables TEXT NOT NULL, action TEXT NOT NULL);
CREATE TABLE alerts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, device INTEGER NOT NULL REFERENCES devices(id) ON DELETE CASCADE,
  time INTEGER NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX alerts_device ON alerts(device, id);
)sql",
    R"sql(
CREATE TABLE distribution_settings (
  id INTEGER PRIMARY KEY CHECK (id = 1), multicast INTEGER NOT NULL, adaptive INTEGER NOT NULL, rate INTEGER NOT NULL,
  group_address INTEGER NOT NULL, port INTEGER NOT NULL, ttl INTEGER NOT NULL, interface INTEGER NOT NULL,
  wait INTEGER NOT NULL);
)sql",
    R"sql(
ALTER TABLE devices ADD COLUMN tftp_upload INTEGER NOT NULL DEFAULT 0;
)sql",
    R"sql(
ALTER TABLE jobs ADD COLUMN max_parallel INTEGER NOT NULL DEFAULT 0;
ALTER TABLE distribution_settings ADD COLUMN start_machines INTEGER NOT NULL DEFAULT 0;
ALTER TABLE distribution_settings ADD COLUMN limits TEXT NOT NULL DEFAULT '[]';
ALTER TABLE distribution_settings ADD COLUMN windows TEXT NOT NULL DEFAULT '[]';
)sql",
    // Addresses as text, for IPv6. The default of before, 239.255.52.0, is "as the agents' channel".
    R"sql(
CREATE TABLE distribution_settings_6 (
  id INTEGER PRIMARY KEY CHECK (id = 1), multicast INTEGER NOT NULL, adaptive INTEGER NOT NULL, rate INTEGER NOT NULL,
  group_address TEXT NOT NULL, port INTEGER NOT NULL, ttl INTEGER NOT NULL, interface TEXT NOT NULL,
  wait INTEGER NOT NULL, start_machines INTEGER NOT NULL, limits TEXT NOT NULL, windows TEXT NOT NULL);
INSERT INTO distribution_settings_6 SELECT id, multicast, adaptive, rate,
  CASE group_address WHEN 4026479616 THEN '::' ELSE printf('%d.%d.%d.%d', group_address >> 24 & 255,
    group_address >> 16 & 255, group_address >> 8 & 255, group_address & 255) END,
  port, ttl,
  printf('%d.%d.%d.%d', interface >> 24 & 255, interface >> 16 & 255, interface >> 8 & 255, interface & 255),
  wait, start_machines,
  (SELECT coalesce(json_group_array(json_array(printf('%d.%d.%d.%d', value ->> 0 >> 24 & 255, value ->> 0 >> 16 & 255,
    value ->> 0 >> 8 & 255, value ->> 0 & 255), value ->> 1)), '[]') FROM json_each(limits)),
  windows FROM distribution_settings;
DROP TABLE distribution_settings;
ALTER TABLE distribution_settings_6 RENAME TO distribution_settings;
)sql",
    R"sql(
ALTER TABLE jobs ADD COLUMN rate INTEGER NOT NULL DEFAULT 0;
)sql",
    R"sql(
ALTER TABLE distribution_settings ADD COLUMN report_first INTEGER NOT NULL DEFAULT 0;
ALTER TABLE distribution_settings ADD COLUMN report_last INTEGER NOT NULL DEFAULT 0;
)sql",
};

int Database::schema_version() { return static_cast<int>(std::size(kMigrations)); }

Status Database::migrate(int to) {
    return server::migrate(*sqlite_, std::span(kMigrations).first(static_cast<std::size_t>(to)));
}

Status migrate(Sqlite& sqlite, std::span<const char* const> entries) {
    TRY(
        sqlite.run("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied TEXT NOT NULL "
                   "DEFAULT CURRENT_TIMESTAMP)"));
    const auto known = static_cast<std::int64_t>(entries.size());
    std::int64_t have = 0;
    TRY(sqlite.query("SELECT coalesce(max(version), 0) FROM migrations", {}, [&](Row r) { have = r.number(0); }));
    if (have > known)
        return make_error(errors::kNewerDatabase, "the database has version {}, this program knows {}", have, known);
    for (auto version = have + 1; version <= known; ++version)
        TRY_WITH(sqlite.transaction([&]() -> Status {
            TRY(sqlite.script(entries[static_cast<std::size_t>(version - 1)]));
            return sqlite.run("INSERT INTO migrations(version) VALUES (?)", {version});
        }),
                 fmt::format("migration {}", version));
    return {};
}

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file, int version) {
    auto sqlite = TRY(Sqlite::open(file));
    std::unique_ptr<Database> database(new Database(std::move(sqlite)));
    TRY(database->migrate(version));
    return database;
}

}  // namespace slipway::server
