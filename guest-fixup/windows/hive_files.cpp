// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/hive_files.hpp"

#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/hive_log.hpp"
#include "guest-fixup/windows/system.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

Result<LoadedHive> load_hive(const Guest& guest, const std::string& path, const std::string& label) {
    auto bytes = TRY(guest.read(path, kLargestHive));
    if (!bytes) return make_error(errors::kWindows, "{} cannot be read", path);
    std::vector<std::string> logs, paths;
    for (const char* end : {".LOG", ".LOG1", ".LOG2"}) {
        const auto log = find_path(guest, path + end);
        if (!log) continue;
        logs.push_back(TRY(guest.read(*log, kLargestHive)).value_or(""));
        paths.push_back(*log);
    }
    auto replayed = TRY_WITH(replay(*bytes, logs), path);
    const bool changed = replayed.hive != *bytes;
    bytes.reset();
    auto hive = TRY_WITH(Hive::open(std::move(replayed.hive), label), path);
    return LoadedHive{std::move(hive), path, changed, std::move(replayed.notes), std::move(paths)};
}

Result<LoadedHive> load_system_hive(const Guest& guest, const std::string& root, const std::string& name) {
    const auto path = find_path(guest, root + "/system32/config/" + name);
    if (!path) return make_error(errors::kWindows, "{}/System32/config/{} is missing", root, name);
    return load_hive(guest, *path, name);
}

Status write_hive(Guest& guest, LoadedHive& loaded) {
    if (!loaded.hive.changed()) return {};
    if (loaded.replayed)
        guest.note_change(
            {"registry: what its logs held is in it (" + join(loaded.notes, "; ") + ")", loaded.path, "", ""});
    for (const auto& change : loaded.hive.journal()) guest.note_change(change);
    TRY_WITH(guest.write_unrecorded(loaded.path, TRY(loaded.hive.bytes()), 0600), loaded.path);
    if (!loaded.replayed) return {};
    for (const auto& log : loaded.logs) TRY_WITH(guest.write_unrecorded(log, "", 0600), log);
    return {};
}

}  // namespace slipway::fixup::windows
