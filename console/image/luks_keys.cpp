// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/image/image.hpp"
#include "lib/base/fd.hpp"
#include "lib/disks/luks/unlock.hpp"

namespace slipway::console {

CLI::Option* add_luks_key_option(CLI::App& app, std::vector<std::string>& files, const std::string& what) {
    return app.add_option(
        "--luks-key", files,
        "file with the passphrase of a LUKS volume, or its key file: " + what + "; repeat it for several");
}

Result<std::unique_ptr<disks::LuksKeys>> read_luks_keys(const std::vector<std::string>& files) {
    if (files.empty()) return std::unique_ptr<disks::LuksKeys>();
    std::vector<std::string> keys;
    for (const auto& file : files) {
        keys.push_back(TRY_WITH(read_text_file(file, 8u << 20), "--luks-key"));
        if (keys.back().ends_with('\n')) keys.push_back(keys.back().substr(0, keys.back().size() - 1));
    }
    return std::make_unique<disks::LuksKeys>(std::move(keys));
}

}  // namespace slipway::console
