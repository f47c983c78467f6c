// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/patches/supply.hpp"

#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/system_files.hpp"

namespace slipway::patches {

Result<std::optional<std::string>> find_in_libraries(const std::vector<std::filesystem::path>& directories,
                                                     const FileKey& key) {
    for (const auto& directory : directories) {
        auto content = read_text_file(path_of(directory, key), kLargestFile);
        if (!content) continue;
        if (const auto found = key_of(as_bytes(*content)); found && *found == key)
            return std::optional(*std::move(content));
    }
    const auto library = Library::open(directories);
    const auto* file = library.find(key);
    if (!file) return std::optional<std::string>();
    return std::optional(TRY(library.read(*file)));
}

std::optional<FileKey> parse_key(std::string_view name, std::string_view version, std::string_view language) {
    const auto number = FileVersion::parse(version);
    const auto code = from_hex(language);
    if (!is_system_file(name) || !number || !code || code->size() != 2) return std::nullopt;
    const auto in = std::to_integer<unsigned>((*code)[0]) << 8 | std::to_integer<unsigned>((*code)[1]);
    return FileKey{to_lower(name), *number, static_cast<std::uint16_t>(in)};
}

}  // namespace slipway::patches
