// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/jobs/personalities.hpp"

#include "guest-fixup/errors.hpp"
#include "guest-fixup/personality.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

namespace {

Status check_task(const sequences::Values& parameters) {
    const auto get = [&](const char* name) {
        const auto found = parameters.find(name);
        return found == parameters.end() ? std::string() : found->second;
    };
    fixup::PersonalityValues values;
    for (const char* name : fixup::kPersonalityValues) values[name] = get(name);
    auto document = get("personality");
    const auto text = trim(document);
    if (text.starts_with('/')) document.clear();  // read by the agent
    else if (!text.empty() && !text.starts_with('{'))
        return make_error(fixup::errors::kPersonality, "personality is neither a document nor a path: '{}'",
                          printable(text.substr(0, 80)));
    (void)TRY(fixup::personality_of(document, get("device"), values));
    return {};
}

}  // namespace

Status check_personalities(const sequences::Sequence& sequence, const sequences::Values& variables) {
    for (const auto& task : sequence.tasks) {
        if (task.type != "repair") continue;
        TRY_WITH(check_task(TRY(sequences::expand_all(task.parameters, variables))), fmt::format("step '{}'", task.id));
    }
    return {};
}

}  // namespace slipway::server
