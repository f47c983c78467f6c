// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/db/sqlite.hpp"

#include <sqlite3.h>

#include <utility>

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

// ---- a connection

Error SqliteConnection::failure(int code, std::string_view what) const {
    const auto& id = code == SQLITE_FULL ? slipway::errors::kNoSpace : errors::kDatabase;
    return make_error(id, "{}: {}", what, handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code));
}

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const std::filesystem::path& file) {
    sqlite3* handle = nullptr;
    int code = sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                               nullptr);
    std::unique_ptr<SqliteConnection> connection(new SqliteConnection(handle));
    if (code != SQLITE_OK) return connection->failure(code, file.string());
    sqlite3_busy_timeout(handle, 5000);
    return connection;
}

SqliteConnection::~SqliteConnection() {
    for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(handle_);
}

bool SqliteConnection::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Result<sqlite3_stmt*> SqliteConnection::prepare(std::string_view sql, std::initializer_list<SqlValue> values) {
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

Status SqliteConnection::step(std::string_view sql, std::initializer_list<SqlValue> values,
                              const std::function<void(Row)>& row) {
    auto* statement = TRY(prepare(sql, values));
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW; code = sqlite3_step(statement))
        if (row) row(Row(statement));
    auto status = code == SQLITE_DONE ? Status() : Status(failure(code, sql));
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

Status SqliteConnection::execute(const char* sql) {
    int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failure(code, std::string_view(sql).substr(0, 100));
    return {};
}

// ---- both kinds

Result<std::unique_ptr<Sqlite>> Sqlite::open(const std::filesystem::path& file) {
    std::unique_ptr<Sqlite> db(new Sqlite(file, TRY(SqliteConnection::open(file))));
    TRY_WITH(db->writer_->execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"),
             file.string());
    db->thread_ = std::thread([self = db.get()] { self->serve(); });
    return db;
}

Sqlite::~Sqlite() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    asked_.notify_all();
    if (thread_.joinable()) thread_.join();
    idle_readers_.clear();  // before the writer, which as the last one tidies the log away
}

// ---- the callers' side

Status Sqlite::call(Kind kind, const std::function<Status()>& body) {
    Call call{kind, body, {}};
    std::unique_lock lock(mutex_);
    calls_.push_back(&call);
    asked_.notify_one();
    answered_.wait(lock, [&] { return call.done; });
    return std::move(call.status);
}

Status Sqlite::query(std::string_view sql, std::initializer_list<SqlValue> values,
                     const std::function<void(Row)>& row) {
    if (mine()) return writer_->step(sql, values, row);
    auto reader = TRY(take_reader());
    auto status = reader->step(sql, values, row);
    give_back(std::move(reader));
    return status;
}

Result<std::unique_ptr<SqliteConnection>> Sqlite::take_reader() {
    {
        std::lock_guard lock(readers_mutex_);
        if (!idle_readers_.empty()) {
            auto reader = std::move(idle_readers_.back());
            idle_readers_.pop_back();
            return reader;
        }
    }
    auto reader = TRY(SqliteConnection::open(file_));
    TRY(reader->execute("PRAGMA query_only=ON;"));
    return reader;
}

void Sqlite::give_back(std::unique_ptr<SqliteConnection> reader) {
    std::lock_guard lock(readers_mutex_);
    idle_readers_.push_back(std::move(reader));
}

Status Sqlite::run(std::string_view sql, std::initializer_list<SqlValue> values) {
    return mine() ? writer_->step(sql, values, nullptr)
                  : call(Kind::Write, [&] { return writer_->step(sql, values, nullptr); });
}

Status Sqlite::script(const std::string& sql) {
    return mine() ? writer_->execute(sql.c_str()) : call(Kind::Alone, [&] { return writer_->execute(sql.c_str()); });
}

Status Sqlite::transaction(const std::function<Status()>& body) { return mine() ? body() : call(Kind::Write, body); }

void Sqlite::guard_commits(std::function<bool()> allow) {
    (void)call(Kind::Alone, [&]() -> Status {
        allow_ = std::move(allow);
        auto hook = [](void* self) { return static_cast<Sqlite*>(self)->allow_() ? 0 : 1; };
        sqlite3_commit_hook(writer_->handle(), allow_ ? +hook : nullptr, this);
        return {};
    });
}

std::size_t Sqlite::waiting() const {
    std::lock_guard lock(mutex_);
    return calls_.size();
}

// ---- SQLite's thread

// Whoever called waits for the answer, so the calls found here are of different callers and in no order of theirs.
void Sqlite::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        asked_.wait(lock, [&] { return stopping_ || !calls_.empty(); });
        if (calls_.empty()) return;
        std::vector<Call*> alone, writes;
        for (auto* call : std::exchange(calls_, {})) (call->kind == Kind::Write ? writes : alone).push_back(call);
        lock.unlock();
        for (auto* call : alone) call->status = call->body();
        answer(alone);
        commit_together(writes);
        answer(writes);
        lock.lock();
    }
}

void Sqlite::answer(const std::vector<Call*>& calls) {
    std::lock_guard lock(mutex_);
    for (auto* call : calls) call->done = true;
    answered_.notify_all();
}

void Sqlite::commit_together(const std::vector<Call*>& writes) {
    std::vector<Call*> made;  // in the transaction under way
    auto over = [&](const Status& why) {
        for (auto* call : made) call->status = why;
        made.clear();
    };
    for (auto* call : writes) {
        const bool under_way = writer_->in_transaction();
        if (auto begun = under_way ? Status() : writer_->execute("BEGIN IMMEDIATE"); !begun) {
            call->status = std::move(begun);
            continue;
        }
        call->status = writer_->execute("SAVEPOINT one");
        if (call->status.ok()) call->status = call->body();
        if (!writer_->in_transaction()) {  // a full disk, say: SQLite itself has undone all of it
            if (call->status.ok()) call->status = make_error(errors::kDatabase, "the transaction was undone");
            over(call->status);
            continue;
        }
        if (!call->status.ok()) (void)writer_->execute("ROLLBACK TO one");
        if (auto released = writer_->execute("RELEASE one"); !released && call->status.ok())
            call->status = std::move(released);
        if (call->status.ok()) made.push_back(call);
    }
    if (!writer_->in_transaction()) return;
    auto committed = made.empty() ? Status() : writer_->execute("COMMIT");
    if (!committed) over(committed);
    if (writer_->in_transaction()) (void)writer_->execute("ROLLBACK");
}

std::int64_t Sqlite::last_id() const { return sqlite3_last_insert_rowid(writer_->handle()); }
int Sqlite::changes() const { return sqlite3_changes(writer_->handle()); }

}  // namespace slipway::server
