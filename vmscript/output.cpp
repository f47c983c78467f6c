// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/output.hpp"

#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/xml.hpp"
#include "vmscript/errors.hpp"

namespace slipway::vmscript {

namespace fs = std::filesystem;

namespace {

Status write_one(const fs::path& path, const GeneratedFile& file) {
    return write_file_atomic(path, as_bytes(file.text), file.executable ? 0755 : 0644);
}

}  // namespace

Status load_files(Switches& switches) {
    constexpr std::uint64_t kLongest = 16u << 20;
    for (auto* file : {&switches.device_list, &switches.agent_drivers})
        if (!file->empty()) *file = TRY_WITH(read_text_file(*file, kLongest), "reading " + *file);
    auto& state = switches.service_driver_state;
    if (state.empty()) return {};
    constexpr std::uint64_t kLimit = 1u << 20;
    auto text = TRY_WITH(read_text_file(state, kLimit), "reading --servicedriverstate");
    tinyxml2::XMLDocument document;
    if (auto parsed = parse_xml(document, text); !parsed)
        return make_error(errors::kBadValue, "--servicedriverstate {}: {}", state, parsed.error().message());
    if (std::string_view(document.RootElement()->Name()) != "Configuration")
        return make_error(errors::kBadValue, "--servicedriverstate {}: its root element is not <Configuration>", state);
    state = std::move(text);
    return {};
}

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
