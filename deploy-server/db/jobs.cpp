// SPDX-License-Identifier: GPL-3.0-or-later
// Jobs, runs, steps, events, artifacts.
#include "deploy-server/db/database.hpp"
#include "deploy-server/db/json.hpp"
#include "deploy-server/errors.hpp"

namespace slipway::server {

using sequences::RunState;

static std::string_view name_of(JobMode mode) {
    return mode == JobMode::Run ? "run" : mode == JobMode::Serial ? "serial" : "parallel";
}
static JobMode mode_named(std::string_view text) {
    return text == "serial" ? JobMode::Serial : text == "parallel" ? JobMode::Parallel : JobMode::Run;
}
static RunState state_named(std::string_view text) {
    for (auto s : {RunState::Queued, RunState::Running, RunState::Done, RunState::Failed, RunState::Cancelled})
        if (sequences::name_of(s) == text) return s;
    return RunState::Failed;
}

static constexpr std::string_view kJobColumns =
    "SELECT id, parent, mode, name, sequence_name, sequence_xml, device, variables, make_device, state, created, "
    "started, ended, max_parallel, rate FROM jobs ";

static Result<std::vector<JobRow>> select_jobs(Sqlite& db, std::string_view where,
                                               std::initializer_list<SqlValue> values) {
    std::vector<JobRow> out;
    TRY(db.query(std::string(kJobColumns) + std::string(where) + " ORDER BY id", values, [&](Row r) {
        JobRow j;
        j.id = r.number(0);
        j.parent = r.number(1);
        j.mode = mode_named(r.text(2));
        j.name = r.text(3);
        j.sequence_name = r.text(4);
        j.sequence_xml = r.text(5);
        j.device = r.text(6);
        j.variables = values_from_json(r.text(7));
        j.make_device = spec_from_json(r.text(8));
        j.state = state_named(r.text(9));
        j.created_ms = r.number(10);
        j.started_ms = r.number(11);
        j.ended_ms = r.number(12);
        j.max_parallel = static_cast<unsigned>(r.number(13));
        j.rate = static_cast<std::uint64_t>(r.number(14));
        out.push_back(std::move(j));
    }));
    return out;
}

Result<std::int64_t> Database::add_job(const JobRow& j) {
    std::int64_t id = 0;
    TRY(sqlite_->transaction([&]() -> Status {
        auto parent = j.parent ? SqlValue(j.parent) : SqlValue(nullptr);
        TRY(
            sqlite_->run("INSERT INTO jobs(parent, mode, name, sequence_name, sequence_xml, device, variables, "
                         "make_device, state, created, max_parallel) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                         {parent, name_of(j.mode), j.name, j.sequence_name, j.sequence_xml, j.device,
                          values_to_json(j.variables), spec_to_json(j.make_device), sequences::name_of(j.state),
                          j.created_ms, static_cast<std::int64_t>(j.max_parallel)}));
        id = sqlite_->last_id();
        if (j.mode == JobMode::Run)
            TRY(sqlite_->run("INSERT INTO runs(job, state, current, bulk_key) VALUES (?, 'queued', 0, '')", {id}));
        return {};
    }));
    return id;
}

Result<std::vector<JobRow>> Database::jobs() { return select_jobs(*sqlite_, "", {}); }
Result<std::vector<JobRow>> Database::unfinished_jobs() {
    return select_jobs(*sqlite_, "WHERE state IN ('queued', 'running')", {});
}
Result<std::optional<JobRow>> Database::job(std::int64_t id) {
    auto rows = TRY(select_jobs(*sqlite_, "WHERE id = ?", {id}));
    return rows.empty() ? std::optional<JobRow>() : std::optional(std::move(rows.front()));
}
Result<std::vector<std::int64_t>> Database::children(std::int64_t job) {
    std::vector<std::int64_t> out;
    TRY(sqlite_->query("SELECT id FROM jobs WHERE parent = ? ORDER BY id", {job},
                       [&](Row r) { out.push_back(r.number(0)); }));
    return out;
}
Status Database::set_job(const JobRow& j) {
    return sqlite_->run("UPDATE jobs SET state = ?, started = ?, ended = ? WHERE id = ?",
                        {sequences::name_of(j.state), j.started_ms, j.ended_ms, j.id});
}

Status Database::set_job_rate(std::int64_t job, std::uint64_t bits) {
    return sqlite_->run("UPDATE jobs SET rate = ? WHERE id = ?", {static_cast<std::int64_t>(bits), job});
}

Result<std::optional<RunRow>> Database::run_of(std::int64_t job) {
    std::optional<RunRow> out;
    std::string state, steps;
    std::int64_t current = 0;
    TRY(sqlite_->query("SELECT id, state, current, bulk_key FROM runs WHERE job = ?", {job}, [&](Row r) {
        out.emplace();
        out->id = r.number(0);
        out->job = job;
        state = r.text(1);
        current = r.number(2);
        out->bulk_key = r.text(3);
    }));
    if (!out) return out;
    TRY(sqlite_->query("SELECT record FROM steps WHERE run = ? ORDER BY place", {out->id},
                       [&](Row r) { steps += (steps.empty() ? "" : ",") + r.text(0); }));
    out->record = TRY_WITH(
        sequences::run_from_json(fmt::format(R"({{"state":"{}","current":{},"steps":[{}]}})", state, current, steps)),
        fmt::format("run {}", out->id));
    return out;
}

Status Database::save_step(const RunRow& run, std::size_t step) {
    return sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("UPDATE runs SET state = ?, current = ?, bulk_key = ? WHERE id = ?",
                         {sequences::name_of(run.record.state), static_cast<std::int64_t>(run.record.current),
                          run.bulk_key, run.id}));
        if (step >= run.record.steps.size()) return {};
        const auto& record = run.record.steps[step];
        return sqlite_->run(
            "INSERT INTO steps(run, place, state, record) VALUES (?, ?, ?, ?) ON CONFLICT(run, place) "
            "DO UPDATE SET state = excluded.state, record = excluded.record",
            {run.id, static_cast<std::int64_t>(step), sequences::name_of(record.state), sequences::to_json(record)});
    });
}

Status Database::save_run(const RunRow& run) {
    return sqlite_->transaction([&]() -> Status {
        for (std::size_t i = 0; i < run.record.steps.size(); ++i) TRY(save_step(run, i));
        return save_step(run, run.record.steps.size());
    });
}

Result<std::int64_t> Database::add_event(const EventRow& e) {
    std::int64_t id = 0;
    TRY(sqlite_->transaction([&]() -> Status {
        TRY(sqlite_->run("INSERT INTO events(job, time, level, text) VALUES (?, ?, ?, ?)",
                         {e.job, e.time_ms, e.level, e.text}));
        id = sqlite_->last_id();
        return {};
    }));
    return id;
}

Result<std::vector<EventRow>> Database::events(std::int64_t job, std::int64_t after, std::size_t limit) {
    std::vector<EventRow> out;
    TRY(sqlite_->query(
        "WITH RECURSIVE tree(id) AS (SELECT ? UNION ALL SELECT j.id FROM jobs j JOIN tree t ON j.parent = t.id) "
        "SELECT id, job, time, level, text FROM events WHERE job IN (SELECT id FROM tree) AND id > ? ORDER BY id "
        "LIMIT ?",
        {job, after, static_cast<std::int64_t>(limit)}, [&](Row r) {
            out.push_back({r.number(0), r.number(1), r.number(2), r.text(3), r.text(4)});
        }));
    return out;
}

Status Database::put_artifact(std::int64_t job, std::string_view name, std::string_view content_type, ByteView data) {
    return sqlite_->run(
        "INSERT INTO artifacts(job, name, content_type, data) VALUES (?, ?, ?, ?) ON CONFLICT(job, "
        "name) DO UPDATE SET content_type = excluded.content_type, data = excluded.data",
        {job, name, content_type, data});
}

Status Database::remove_artifact(std::int64_t job, std::string_view name) {
    return sqlite_->run("DELETE FROM artifacts WHERE job = ? AND name = ?", {job, name});
}

Result<std::vector<std::string>> Database::artifacts(std::int64_t job) {
    std::vector<std::string> out;
    TRY(sqlite_->query("SELECT name FROM artifacts WHERE job = ? ORDER BY name", {job},
                       [&](Row r) { out.push_back(r.text(0)); }));
    return out;
}

Result<std::optional<Database::Artifact>> Database::artifact(std::int64_t job, std::string_view name) {
    std::optional<Artifact> out;
    TRY(sqlite_->query("SELECT content_type, data FROM artifacts WHERE job = ? AND name = ?", {job, name}, [&](Row r) {
        out = Artifact{r.text(0), r.blob(1)};
    }));
    return out;
}

}  // namespace slipway::server
