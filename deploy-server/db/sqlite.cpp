// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/db/sqlite.hpp"

#include <sqlite3.h>

#include "deploy-server/errors.hpp"
#include "lib/base/errors.hpp"

namespace slipway::server {

std::string Row::text(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return data ? std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
}
std::int64_t Row::number(int column) const { return sqlite3_column_int64(statement_, column); }
Bytes Row::blob(int column) const { return to_bytes(text(column)); }
bool Row::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

Error Sqlite::failure(int code, std::string_view what) const {
    const auto& id = code == SQLITE_FULL ? slipway::errors::kNoSpace : errors::kDatabase;
    return make_error(id, "{}: {}", what, handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code));
}

Result<std::unique_ptr<Sqlite>> Sqlite::open(const std::filesystem::path& file) {
    sqlite3* handle = nullptr;
    int code = sqlite3_open_v2(file.c_str(), &handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
    std::unique_ptr<Sqlite> db(new Sqlite(handle));
    if (code != SQLITE_OK) return db->failure(code, file.string());
    sqlite3_busy_timeout(handle, 5000);
    TRY_WITH(db->script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"), file.string());
    return db;
}

Sqlite::~Sqlite() {
    for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(handle_);
}

Result<sqlite3_stmt*> Sqlite::prepare(std::string_view sql, std::initializer_list<SqlValue> values) {
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
        sqlite3_stmt* made = nullptr;
        int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &made, nullptr);
        if (code != SQLITE_OK) return failure(code, sql);
        found = statements_.emplace(sql, made).first;
    }
    auto* s = found->second;
    int place = 0;
    for (const auto& value : values) {
        ++place;
        if (const auto* n = std::get_if<std::int64_t>(&value)) sqlite3_bind_int64(s, place, *n);
        else if (const auto* t = std::get_if<std::string_view>(&value))
            sqlite3_bind_text(s, place, t->data() ? t->data() : "", static_cast<int>(t->size()), SQLITE_TRANSIENT);
        else if (const auto* b = std::get_if<ByteView>(&value))
            sqlite3_bind_blob(s, place, b->data() ? static_cast<const void*>(b->data()) : "",
                              static_cast<int>(b->size()), SQLITE_TRANSIENT);
        else sqlite3_bind_null(s, place);
    }
    return s;
}

Status Sqlite::query(std::string_view sql, std::initializer_list<SqlValue> values,
                     const std::function<void(Row)>& row) {
    std::lock_guard lock(mutex_);
    auto* statement = TRY(prepare(sql, values));
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW; code = sqlite3_step(statement))
        if (row) row(Row(statement));
    auto status = code == SQLITE_DONE ? Status() : Status(failure(code, sql));
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

Status Sqlite::run(std::string_view sql, std::initializer_list<SqlValue> values) { return query(sql, values, nullptr); }

Status Sqlite::script(const std::string& sql) {
    std::lock_guard lock(mutex_);
    int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failure(code, "a script");
    return {};
}

void Sqlite::guard_commits(std::function<bool()> allow) {
    std::lock_guard lock(mutex_);
    allow_ = std::move(allow);
    auto hook = [](void* self) { return static_cast<Sqlite*>(self)->allow_() ? 0 : 1; };
    sqlite3_commit_hook(handle_, allow_ ? +hook : nullptr, this);
}

std::int64_t Sqlite::last_id() const { return sqlite3_last_insert_rowid(handle_); }
int Sqlite::changes() const { return sqlite3_changes(handle_); }

Status Sqlite::transaction(const std::function<Status()>& body) {
    std::lock_guard lock(mutex_);
    if (depth_ > 0) return body();
    TRY(run("BEGIN IMMEDIATE"));
    ++depth_;
    auto status = body();
    --depth_;
    if (status.ok()) status = run("COMMIT");
    if (!status.ok()) (void)run("ROLLBACK");
    return status;
}

}  // namespace slipway::server
