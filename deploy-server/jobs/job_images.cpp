// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/jobs/job_images.hpp"

#include <algorithm>

#include "deploy-server/db/json.hpp"
#include "deploy-server/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using namespace sequences;

bool has_version(std::string_view image) { return image.find('@') != std::string_view::npos; }

static std::string name_in(std::string_view image) { return std::string(image.substr(0, image.find('@'))); }

// The image that a task captures or lays down; empty: another task.
static std::string image_parameter(const Task& task, std::string_view type, const Values& variables) {
    auto text = task.type == type ? task.parameters.find("image") : task.parameters.end();
    return text == task.parameters.end() ? "" : expand(text->second, variables).value_or("");
}

// ---- when the job is made

Status ImageBinder::bind(JobRequest& request, const Values& inherited) {
    std::set<std::string> captured;
    return bind(request, inherited, captured);
}

Status ImageBinder::bind(JobRequest& request, const Values& inherited, std::set<std::string>& captured) {
    auto variables = request.variables;
    variables.insert(inherited.begin(), inherited.end());
    if (request.mode == JobMode::Run) return bind_tasks(request, variables, captured);
    const auto before = captured;
    for (auto& child : request.children) {
        // Children side by side do not wait for what one of them captures.
        auto seen = request.mode == JobMode::Serial ? captured : before;
        TRY_WITH(bind(child, variables, seen), fmt::format("job '{}'", child.name));
        captured.merge(seen);
    }
    return {};
}

Status ImageBinder::bind_tasks(JobRequest& request, const Values& variables, std::set<std::string>& captured) {
    auto sequence = TRY(parse_sequence(request.sequence_xml)).sequence;
    // ${job.id} has no value yet: an image called by it is this job's own.
    auto all = effective_variables(sequence, variables);
    all["device.name"] = request.device;
    bool changed = false;
    for (auto& task : sequence.tasks) {
        if (auto name = image_parameter(task, "capture-image", all); !name.empty()) captured.insert(name);
        const auto asked = image_parameter(task, "deploy-image", all);
        if (asked.empty() || captured.contains(name_in(asked))) continue;
        auto found = settled_.find(asked);
        if (found == settled_.end())
            found = settled_.emplace(asked, TRY_WITH(resolve_(asked), fmt::format("task '{}'", task.id))).first;
        changed = changed || task.parameters["image"] != found->second;
        task.parameters["image"] = found->second;
    }
    if (changed) request.sequence_xml = render_sequence(sequence);
    return {};
}

// ---- while it runs

// "web@3" where a capture among the first `count` steps, the last of them, says that it has stored it.
static std::string stored_by(const RunRecord& record, const Sequence& sequence, std::size_t count,
                             const std::string& name) {
    for (auto i = std::min({count, record.steps.size(), sequence.tasks.size()}); i-- > 0;) {
        if (sequence.tasks[i].type != "capture-image" || record.steps[i].state != StepState::Done) continue;
        auto result = parse_object(record.steps[i].result);
        auto image = result ? optional_text(*result, "image").value_or(std::nullopt).value_or("") : "";
        if (has_version(image) && name_in(image) == name) return image;
    }
    return "";
}

std::string Hub::stored_below(std::int64_t id, const std::string& name) {
    auto job = db_.job(id);
    if (!job || !*job) return "";
    if ((*job)->mode == JobMode::Run) {
        auto run = db_.run_of(id);
        auto sequence = parse_sequence((*job)->sequence_xml);
        return run && *run && sequence ? stored_by((*run)->record, sequence->sequence, SIZE_MAX, name) : "";
    }
    auto children = db_.children(id).value_or({});
    for (auto child = children.rbegin(); child != children.rend(); ++child)
        if (auto image = stored_below(*child, name); !image.empty()) return image;
    return "";
}

std::string Hub::stored_before(const JobRow& job, const std::string& name) {
    auto below = job.id;
    for (auto up = job.parent; up;) {
        auto parent = db_.job(up);
        if (!parent || !*parent) break;
        if ((*parent)->mode == JobMode::Serial) {
            auto siblings = db_.children(up).value_or({});
            for (auto other = siblings.rbegin(); other != siblings.rend(); ++other)
                if (*other < below)
                    if (auto image = stored_below(*other, name); !image.empty()) return image;
        }
        below = up;
        up = (*parent)->parent;
    }
    return "";
}

std::string Hub::image_of(const JobRow& job, const RunRecord& record, const Sequence& sequence, std::size_t step) {
    auto variables = effective_variables(sequence, job.variables);
    variables["job.id"] = std::to_string(job.id);
    variables["device.name"] = job.device;
    auto image = image_parameter(sequence.tasks[step], "deploy-image", variables);
    if (image.empty() || has_version(image)) return image;
    auto stored = stored_by(record, sequence, step, image);
    if (stored.empty()) stored = stored_before(job, image);
    return stored.empty() ? image : stored;
}

// What the agent is asked to lay down.
void Hub::settle_image(const Live& live, std::size_t step, Values& parameters) {
    auto image = image_of(live.job, live.run.record, live.sequence, step);
    if (image.empty()) return;
    // A capture that said nothing of a version, or a job of before versions were settled: now is the latest for it.
    if (!has_version(image) && resolve_image_) image = resolve_image_(image).value_or(image);
    parameters["image"] = image;
}

// Of the deploy-image tasks that are not done.
Result<std::vector<std::string>> Hub::images_needed(const JobRow& job) {
    std::vector<std::string> out;
    if (job.mode != JobMode::Run) return out;
    auto sequence = TRY(parse_sequence(job.sequence_xml)).sequence;
    auto run = TRY(db_.run_of(job.id));
    auto record = run ? run->record : RunRecord{};
    record.steps.resize(sequence.tasks.size());
    for (std::size_t i = 0; i < sequence.tasks.size(); ++i)
        if (record.steps[i].state != StepState::Done)
            if (auto image = image_of(job, record, sequence, i); has_version(image)) out.push_back(std::move(image));
    return out;
}

Status Hub::remove_images(const std::vector<std::string>& versions, const std::function<Status()>& remove) {
    std::lock_guard lock(mutex_);
    for (const auto& [id, job] : open_) {
        if (job.state != RunState::Queued && job.state != RunState::Running) continue;
        for (const auto& needed : TRY(images_needed(job)))
            if (std::find(versions.begin(), versions.end(), needed) != versions.end())
                return make_error(errors::kImageInUse, "job {} '{}' lays down {}", id, job.name, needed);
    }
    return remove();
}

// A machine is not booted for an image that is gone.
Status Hub::check_images(std::int64_t id) {
    if (!resolve_image_) return {};
    auto job = TRY(db_.job(id));
    if (!job || job->state == RunState::Done) return {};
    for (const auto& image : TRY(images_needed(*job)))
        TRY_WITH(resolve_image_(image), fmt::format("job {} '{}' keeps to its version", id, job->name));
    for (auto child : TRY(db_.children(id))) TRY(check_images(child));
    return {};
}

}  // namespace slipway::server
