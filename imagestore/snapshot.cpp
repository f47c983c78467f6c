// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/snapshot.hpp"

#include <algorithm>

#include "imagestore/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::imagestore {

namespace {

constexpr std::uint64_t kLeastSpace = 64u << 20;

Error failed(const std::string& what, const Result<CommandResult>& result) {
    return make_error(errors::kSnapshot, "{}: {}", what,
                      result ? printable(trim(result->error_text)) : result.error().message());
}

}  // namespace

std::optional<LogicalVolume> parse_logical_volume(const std::string& line) {
    auto fields = split(trim(line), '|');
    if (fields.size() != 5 || fields[4].empty()) return std::nullopt;
    auto size = parse_u64(fields[2]), free = parse_u64(fields[3]);
    if (fields[0].empty() || fields[1].empty() || !size || !free) return std::nullopt;
    auto kind = fields[4][0];  // lvs(8), lv_attr bit 1: V thin volume; s, S snapshot
    return LogicalVolume{fields[0], fields[1], *size, *free, kind == 'V', kind == 's' || kind == 'S'};
}

std::optional<LogicalVolume> find_logical_volume(const std::string& device, const CommandRunner& run) {
    auto result = run({"lvs", "--noheadings", "--nosuffix", "--units", "b", "--separator", "|", "-o",
                       "vg_name,lv_name,lv_size,vg_free,lv_attr", device});
    return result && result->ok() ? parse_logical_volume(result->output) : std::nullopt;
}

SnapshotPlan plan_snapshot(const std::optional<LogicalVolume>& volume, const std::string& name) {
    SnapshotPlan plan;
    if (!volume) {
        plan.why_not = "it is no logical volume, so nothing can make a snapshot of it";
        return plan;
    }
    if (volume->snapshot) {
        plan.why_not = "it is a snapshot itself";
        return plan;
    }
    auto least = std::max(kLeastSpace, volume->size / 20);
    if (!volume->thin && volume->group_free < least) {
        plan.why_not = fmt::format("its volume group {} has {} free, a snapshot wants {}", printable(volume->group),
                                   human_bytes(volume->group_free), human_bytes(least));
        return plan;
    }
    auto full = volume->group + "/" + name;
    plan.create = {"lvcreate", "--snapshot", "--name", name};
    if (volume->thin) {
        plan.create.insert(plan.create.end(), {"--setactivationskip", "n"});
    } else {
        auto space = std::min(volume->size, volume->group_free);
        plan.create.insert(plan.create.end(), {"--size", fmt::format("{}b", space)});
    }
    plan.create.push_back(volume->group + "/" + volume->name);
    plan.remove = {"lvremove", "--force", full};
    plan.check = {"lvs", "--noheadings", "-o", "lv_attr", full};
    plan.device = "/dev/" + full;
    return plan;
}

Result<Snapshot> Snapshot::create(SnapshotPlan plan, CommandRunner run) {
    auto made = run(plan.create);
    if (!made || !made->ok()) return failed("making a snapshot", made);
    return Snapshot(std::move(plan), std::move(run));
}

Snapshot::Snapshot(Snapshot&& other) noexcept : plan_(std::move(other.plan_)), run_(std::move(other.run_)) {
    other.run_ = nullptr;
}

Snapshot::~Snapshot() {
    if (run_) (void)run_(plan_.remove);
}

Status Snapshot::still_whole() const {
    auto state = run_(plan_.check);
    if (!state || !state->ok()) return failed("looking at the snapshot", state);
    auto attributes = std::string(trim(state->output));
    // lv_attr bit 5: I invalid, S and s suspended.
    if (attributes.size() < 5 || attributes[4] == 'I' || attributes[4] == 'S')
        return make_error(errors::kSnapshot, "the snapshot filled up while it was read ({})", printable(attributes));
    return {};
}

}  // namespace slipway::imagestore
