// SPDX-License-Identifier: GPL-3.0-or-later
#include "sequences/model.hpp"

#include <algorithm>
#include <cassert>
#include <set>

#include "lib/base/strings.hpp"
#include "sequences/errors.hpp"
#include "sequences/variables.hpp"

namespace slipway::sequences {

std::string_view name_of(Target target) {
    switch (target) {
        case Target::Device: return "device";
        case Target::Controller: return "controller";
        case Target::VmHost: return "vmhost";
    }
    return "?";
}

std::string_view name_of(OnError on_error) { return on_error == OnError::Fail ? "fail" : "continue"; }

std::optional<Target> parse_target(std::string_view text) {
    for (auto target : {Target::Device, Target::Controller, Target::VmHost})
        if (name_of(target) == text) return target;
    return std::nullopt;
}

static bool is_name_character(char c, bool first) {
    bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alnum || c == '_' || (!first && (c == '.' || c == '-'));
}

bool valid_name(std::string_view name) {
    if (name.empty() || name.size() > 64) return false;
    for (std::size_t i = 0; i < name.size(); ++i)
        if (!is_name_character(name[i], i == 0)) return false;
    return true;
}

Task& Sequence::add(std::string_view type, Values parameters) {
    const auto* row = find_task_type(type);
    assert(row);
    Task task;
    task.id = fmt::format("{}-{}", type, tasks.size() + 1);
    task.type = type;
    task.target = row->targets.front();
    task.timeout = row->timeout;
    task.reboot_point = row->reboot_point;
    task.parameters = std::move(parameters);
    return tasks.emplace_back(std::move(task));
}

// Calls text(piece) and variable(name) along the value; either's error ends it.
template <typename OnText, typename OnVariable>
static Status walk(std::string_view value, OnText on_text, OnVariable on_variable) {
    while (!value.empty()) {
        auto at = value.find("${");
        if (at == std::string_view::npos) return on_text(value);
        if (at > 0 && value[at - 1] == '$') {
            TRY(on_text(value.substr(0, at - 1)));
            TRY(on_text("${"));
            value.remove_prefix(at + 2);
            continue;
        }
        TRY(on_text(value.substr(0, at)));
        auto end = value.find('}', at);
        auto name = end == std::string_view::npos ? std::string_view() : value.substr(at + 2, end - at - 2);
        if (!valid_name(name))
            return make_error(errors::kBadVariable, "'{}' is not a variable", printable(value.substr(at, 40)));
        TRY(on_variable(name));
        value.remove_prefix(end + 1);
    }
    return {};
}

Result<std::string> expand(std::string_view text, const Values& variables) {
    std::string out;
    auto append = [&](std::string_view piece) -> Status {
        if (out.size() + piece.size() > kMaxExpanded)
            return make_error(errors::kBadVariable, "more than {} bytes after expansion", kMaxExpanded);
        out += piece;
        return {};
    };
    TRY(walk(text, append, [&](std::string_view name) -> Status {
        auto found = variables.find(name);
        if (found == variables.end()) return make_error(errors::kUnknownVariable, "nothing gives ${{{}}}", name);
        return append(found->second);
    }));
    return out;
}

Result<Values> expand_all(const Values& parameters, const Values& variables) {
    Values out;
    for (const auto& [name, value] : parameters)
        out[name] = TRY_WITH(expand(value, variables), fmt::format("parameter '{}'", name));
    return out;
}

Values effective_variables(const Sequence& sequence, const Values& given) {
    Values all = given;
    for (const auto& variable : sequence.variables)
        if (variable.default_value) all.emplace(variable.name, *variable.default_value);
    return all;
}

static Status check_value(const ParameterType& row, const std::string& value) {
    auto allowed = split(row.values, '|');
    if (row.values.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return {};
    return make_error(errors::kBadTask, "parameter '{}' is '{}', not one of {}", row.name, printable(value),
                      row.values);
}

// What the parameters are once the variables stand in them.
static Status check_values(const Task& task, const Values& variables) {
    const auto* type = find_task_type(task.type);
    for (const auto& [name, value] : TRY(expand_all(task.parameters, variables)))
        // Empty is not given, to an agent.
        if (const auto* row = type ? type->parameter(name) : nullptr; row && (row->required || !value.empty()))
            TRY(check_value(*row, value));
    return {};
}

Names used_variables(std::string_view value) {
    Names out;
    auto nothing = [](std::string_view) -> Status { return {}; };
    auto note = [&](std::string_view name) -> Status {
        out.emplace(name);
        return {};
    };
    return walk(value, nothing, note) ? out : Names();
}

Status check_variables(const Sequence& sequence, const Values& given) {
    auto all = effective_variables(sequence, given);
    for (const auto& variable : sequence.variables)
        if (!all.contains(variable.name))
            return make_error(errors::kUnknownVariable, "sequence '{}' needs ${{{}}}", sequence.name, variable.name);
    for (const auto& task : sequence.tasks) TRY_WITH(check_values(task, all), fmt::format("task '{}'", task.id));
    return {};
}

static Status check_parameter(const TaskType& type, const std::string& name, const std::string& value) {
    const auto* row = type.parameter(name);
    if (!row) return make_error(errors::kBadTask, "{} has no parameter '{}'", type.name, printable(name));
    if (value.find("${") == std::string::npos) TRY(check_value(*row, value));
    auto nothing = [](std::string_view) -> Status { return {}; };
    return walk(value, nothing, nothing).with(fmt::format("parameter '{}'", name));
}

static Status check_task(const Task& task) {
    const auto* type = find_task_type(task.type);
    if (!type) return make_error(errors::kBadTask, "no task type '{}'", printable(task.type));
    if (!type->allows(task.target))
        return make_error(errors::kBadTask, "{} does not run on {}", type->name, name_of(task.target));
    if (task.timeout.count() < 1 || task.timeout > std::chrono::hours(24 * 30))
        return make_error(errors::kBadTask, "a timeout of {} s is out of range", task.timeout.count());
    if (task.retry > kMaxRetry) return make_error(errors::kBadTask, "at most {} retries", kMaxRetry);
    for (const auto& [name, value] : task.parameters) TRY(check_parameter(*type, name, value));
    for (const auto& row : type->parameters)
        if (row.required && !task.parameters.contains(row.name))
            return make_error(errors::kBadTask, "{} needs the parameter '{}'", type->name, row.name);
    return {};
}

Status validate(const Sequence& sequence) {
    if (!valid_name(sequence.name))
        return make_error(errors::kBadSequence, "'{}' is not a name", printable(sequence.name));
    if (sequence.tasks.empty()) return make_error(errors::kBadSequence, "there is no task");
    if (sequence.tasks.size() > kMaxTasks) return make_error(errors::kBadSequence, "more than {} tasks", kMaxTasks);
    if (sequence.variables.size() > kMaxVariables)
        return make_error(errors::kBadSequence, "more than {} variables", kMaxVariables);
    std::set<std::string_view> names;
    for (const auto& variable : sequence.variables)
        if (!valid_name(variable.name) || !names.insert(variable.name).second)
            return make_error(errors::kBadVariable, "variable '{}': not a name, or there twice",
                              printable(variable.name));
    names.clear();
    for (const auto& task : sequence.tasks) {
        if (!valid_name(task.id) || !names.insert(task.id).second)
            return make_error(errors::kBadTask, "task id '{}': not a name, or there twice", printable(task.id));
        TRY_WITH(check_task(task), fmt::format("task '{}'", task.id));
    }
    return {};
}

}  // namespace slipway::sequences
