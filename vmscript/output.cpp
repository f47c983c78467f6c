// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/output.hpp"

#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "vmscript/errors.hpp"

namespace slipway::vmscript {

namespace fs = std::filesystem;

namespace {

Status write_one(const fs::path& path, const GeneratedFile& file) {
    return write_file_atomic(path, as_bytes(file.text), file.executable ? 0755 : 0644);
}

}  // namespace

Result<fs::path> write_files(const fs::path& base, const std::string& name, const std::vector<GeneratedFile>& files,
                             bool force) {
    auto directory = base / "p2v" / name;
    std::vector<std::string> edited;
    for (const auto& file : files) {
        std::error_code error;
        if (!fs::exists(directory / file.name, error)) continue;
        if (TRY(read_text_file(directory / file.name)) != file.text) edited.push_back(file.name);
    }
    if (!edited.empty() && !force)
        return make_error(errors::kEdited, "{} has files that were edited or generated otherwise: {}",
                          directory.string(), join(edited, ", "));
    std::error_code failed;
    fs::create_directories(directory, failed);
    if (failed) return make_error(errors::kBadValue, "cannot make {}: {}", directory.string(), failed.message());
    for (const auto& file : files) TRY(write_one(directory / file.name, file));
    auto shared = render_initenv();
    if (!fs::exists(base / "p2v" / shared.name)) TRY(write_one(base / "p2v" / shared.name, shared));
    return directory;
}

}  // namespace slipway::vmscript
