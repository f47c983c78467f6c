// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/patch_files.hpp"

namespace slipway::agent {

Result<std::optional<std::string>> patch_file(const TaskContext& context, const patches::FileKey& key) {
    constexpr std::string_view kNone = "server.no-patch-file";
    auto link = TRY(ControllerLink::open(context.link, context.self));
    auto answer = link.bytes(
        fmt::format("/agent/v1/patches/{}/{}/{}", key.version.text(), patches::language_code(key.language), key.name),
        nullptr, patches::kLargestFile);
    if (!answer && answer.error().name() == kNone) {
        context.log(answer.error().message());
        return std::optional<std::string>();
    }
    return std::optional(TRY(std::move(answer)).body);
}

}  // namespace slipway::agent
