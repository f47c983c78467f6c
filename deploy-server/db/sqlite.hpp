// SPDX-License-Identifier: GPL-3.0-or-later
// SQLite as values and Status. Statements are prepared once and kept. Thread-safe; a transaction
// holds the connection to its end, so that other threads wait.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
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

class Sqlite {
public:
    // WAL, synchronous=FULL (an intent must survive power loss), foreign keys on.
    static Result<std::unique_ptr<Sqlite>> open(const std::filesystem::path& file);
    ~Sqlite();
    Sqlite(const Sqlite&) = delete;
    Sqlite& operator=(const Sqlite&) = delete;

    Status run(std::string_view sql, std::initializer_list<SqlValue> values = {});
    Status query(std::string_view sql, std::initializer_list<SqlValue> values, const std::function<void(Row)>& row);
    Status script(const std::string& sql);  // several statements without values
    std::int64_t last_id() const;
    int changes() const;
    // For fault tests: asked before each commit that changes something; false makes it fail and roll back.
    void guard_commits(std::function<bool()> allow);
    // Commits when body succeeds, else rolls back. Inside another transaction it is part of that.
    Status transaction(const std::function<Status()>& body);

private:
    explicit Sqlite(sqlite3* handle) : handle_(handle) {}
    Result<sqlite3_stmt*> prepare(std::string_view sql, std::initializer_list<SqlValue> values);
    Error failure(int code, std::string_view what) const;

    mutable std::recursive_mutex mutex_;
    sqlite3* handle_;
    std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
    int depth_ = 0;
    std::function<bool()> allow_;
};

}  // namespace slipway::server
