// SPDX-License-Identifier: GPL-3.0-or-later
// A task sequence: typed tasks in order, with parameters and variables. Its XML form is
// sequence.xsd; task types are rows of data (task_types.cpp, docs/architecture.md "Task types").
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::sequences {

inline constexpr const char* kNamespace = "urn:slipway:sequence:1";
inline constexpr std::size_t kMaxTasks = 1000, kMaxVariables = 1000;
inline constexpr unsigned kMaxRetry = 100;
inline constexpr std::size_t kMaxExpanded = 1u << 20;  // bytes of one parameter

enum class Target { Device, Controller, VmHost };
enum class OnError { Fail, Continue };
std::string_view name_of(Target target);  // "device", "controller", "vmhost"
std::string_view name_of(OnError on_error);
std::optional<Target> parse_target(std::string_view text);

struct ParameterType {
    std::string_view name;
    bool required = false;
    std::string_view values = {};  // "on|off|cycle" when only these are allowed; empty: any text
};

struct TaskType {
    std::string_view name;
    std::span<const Target> targets;  // the first is the default
    std::span<const ParameterType> parameters;
    std::chrono::seconds timeout;  // default
    bool reboot_point = false;     // the agent goes away; the job goes on when it is back
    bool probe = false;            // whether it was done can be asked after a restart; others are given again
    const ParameterType* parameter(std::string_view parameter_name) const;
    bool allows(Target target) const;
};
std::span<const TaskType> task_types();
const TaskType* find_task_type(std::string_view name);

using Values = std::map<std::string, std::string, std::less<>>;

struct Task {
    std::string id;  // unique in its sequence; empty: made from type and place by add()
    std::string type;
    Target target = Target::Device;
    std::chrono::seconds timeout{0};
    unsigned retry = 0;  // attempts after the first
    OnError on_error = OnError::Fail;
    bool reboot_point = false;
    Values parameters;  // with ${variables}
};

struct Variable {
    std::string name;
    std::optional<std::string> default_value;  // none: the job must give it
    std::string description;
};

struct Sequence {
    std::string name, description;
    std::vector<Variable> variables;
    std::vector<Task> tasks;

    // Appends a task with its type's defaults; the type must exist (asserted).
    Task& add(std::string_view type, Values parameters = {});
};

bool valid_name(std::string_view name);  // a letter or digit, then letters, digits, '.', '_', '-'; at most 64

// What the XSD cannot say: known types, allowed targets, required and known parameters, unique
// names, ${} well formed. Errors: sequences.bad-task, sequences.bad-variable, sequences.bad-sequence.
Status validate(const Sequence& sequence);

// ---- variables

// Replaces ${name} by its value, once: what a value holds is not expanded again. $${ gives ${.
// Errors: sequences.unknown-variable, sequences.bad-variable.
Result<std::string> expand(std::string_view text, const Values& variables);
Result<Values> expand_all(const Values& parameters, const Values& variables);
// Defaults of the sequence under the values given with the job.
Values effective_variables(const Sequence& sequence, const Values& given);
// The first variable that a task or a declaration needs and nobody gives, as an error.
Status check_variables(const Sequence& sequence, const Values& given);

// ---- XML

struct ParsedSequence {
    Sequence sequence;
    std::vector<std::string> warnings;  // unknown elements, with their lines
};
// The bytes are hostile. Errors: sequences.not-a-sequence, and those of validate(); an unknown
// attribute is an error, an unknown element a warning.
Result<ParsedSequence> parse_sequence(std::string_view xml);
std::string render_sequence(const Sequence& sequence);
std::string_view sequence_schema();  // sequence.xsd

// ---- shipped samples

struct Sample {
    std::string_view name, xml;
};
std::span<const Sample> samples();
const Sample* find_sample(std::string_view name);

}  // namespace slipway::sequences
