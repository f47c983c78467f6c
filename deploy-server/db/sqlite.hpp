// SPDX-License-Identifier: GPL-3.0-or-later
// SQLite as values and Status. Writes happen on a thread of its own, where callers wait for their turn: those that wait
// at the same time share one commit, and so one fsync (group commit); each of them succeeds or is undone alone, but a
// commit that fails fails them all. Reads happen on the caller's thread and never wait for a commit: a boot ROM's
// answer must not stand behind a disk. Statements are prepared once and kept.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace slipway::server {

// The current row of a query; columns count from 0. NULL reads as 0 or empty.
class Row {
public:
    explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
    std::string text(int column) const;
    std::int64_t number(int column) const;
    Bytes blob(int column) const;
    bool is_null(int column) const;

private:
    sqlite3_stmt* statement_;
};

using SqlValue = std::variant<std::nullptr_t, std::int64_t, std::string_view, ByteView>;

// One connection and its statements; used by one thread at a time.
class SqliteConnection {
public:
    static Result<std::unique_ptr<SqliteConnection>> open(const std::filesystem::path& file);
    ~SqliteConnection();
    SqliteConnection(const SqliteConnection&) = delete;
    SqliteConnection& operator=(const SqliteConnection&) = delete;

    Status step(std::string_view sql, std::initializer_list<SqlValue> values, const std::function<void(Row)>& row);
    Status execute(const char* sql);
    sqlite3* handle() const { return handle_; }
    bool in_transaction() const;

private:
    explicit SqliteConnection(sqlite3* handle) : handle_(handle) {}
    Result<sqlite3_stmt*> prepare(std::string_view sql, std::initializer_list<SqlValue> values);
    Error failure(int code, std::string_view what) const;

    sqlite3* handle_;
    std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

class Sqlite {
public:
    // WAL, synchronous=FULL (an intent must survive power loss), foreign keys on.
    static Result<std::unique_ptr<Sqlite>> open(const std::filesystem::path& file);
    ~Sqlite();
    Sqlite(const Sqlite&) = delete;
    Sqlite& operator=(const Sqlite&) = delete;

    // A write: durable when it returns.
    Status run(std::string_view sql, std::initializer_list<SqlValue> values = {});
    // A read of what is committed when it begins (inside a transaction: of that too).
    Status query(std::string_view sql, std::initializer_list<SqlValue> values, const std::function<void(Row)>& row);
    Status script(const std::string& sql);  // several statements without values, in no common transaction
    // Of the transaction's last statement: inside its body.
    std::int64_t last_id() const;
    int changes() const;
    std::size_t waiting() const;  // calls that nobody has begun with
    // For fault tests: asked before each commit that changes something; false makes it fail and roll back.
    void guard_commits(std::function<bool()> allow);
    // Commits when body succeeds, else undoes it. Inside another transaction it is part of that. body is called on
    // SQLite's thread while the caller waits: it must not wait for a lock that another caller may hold.
    Status transaction(const std::function<Status()>& body);

private:
    enum class Kind { Write, Alone };
    struct Call {
        Kind kind;
        const std::function<Status()>& body;
        Status status;
        bool done = false;
    };

    Sqlite(std::filesystem::path file, std::unique_ptr<SqliteConnection> writer)
        : file_(std::move(file)), writer_(std::move(writer)) {}
    Status call(Kind kind, const std::function<Status()>& body);
    void serve();
    void commit_together(const std::vector<Call*>& writes);
    void answer(const std::vector<Call*>& calls);
    bool mine() const { return std::this_thread::get_id() == thread_.get_id(); }
    Result<std::unique_ptr<SqliteConnection>> take_reader();
    void give_back(std::unique_ptr<SqliteConnection> reader);

    std::filesystem::path file_;
    // SQLite's thread alone touches these.
    std::unique_ptr<SqliteConnection> writer_;
    std::function<bool()> allow_;

    std::mutex readers_mutex_;
    std::vector<std::unique_ptr<SqliteConnection>> idle_readers_;  // as many as ever read at the same time

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable asked_, answered_;
    std::vector<Call*> calls_;
    bool stopping_ = false;
    std::thread thread_;  // started last
};

}  // namespace slipway::server
