// SPDX-License-Identifier: GPL-3.0-or-later
// Copies of the source's own files among the WMI dumps, known by their content: WMI has no OriginalFilename and no
// language of hal.dll and the kernels, and nothing of boot.ini's paths.
#include <algorithm>

#include <fmt/format.h>

#include "gatherhw/errors.hpp"
#include "gatherhw/importers/shared.hpp"
#include "gatherhw/importers/wmi_parts.hpp"
#include "gatherhw/linux/tree.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/pe_version.hpp"
#include "lib/patches/system_files.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::size_t kMaxBootIni = 1u << 20;

// No line of text has a NUL; the header of a program file has many.
bool is_program(ByteView bytes) {
    auto head = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 64)));
    return head.starts_with("MZ") && head.find('\0') != std::string_view::npos;
}

// Its first heading is one of the two that boot.ini has.
bool is_boot_ini(std::string_view text) {
    for (int lines = 0; lines < 100 && !text.empty(); ++lines) {
        auto end = std::min(text.find('\n'), text.size());
        auto line = trim(text.substr(0, end));
        for (std::string_view heading : {"[boot loader]", "[operating systems]"})
            if (iequals(line.substr(0, heading.size()), heading)) return true;
        if (!line.empty() && !line.starts_with(';')) return false;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

void take_program(const std::string& name, std::size_t size, const patches::PeVersion& version, Inventory& out) {
    auto root = out.os.system_root.empty() ? std::string("%SystemRoot%") : out.os.system_root;
    SystemFile file{root + "\\system32\\" + name, version.version.text(), version.original_name,
                    patches::language_code(version.language), size};
    for (const auto& said : out.os.system_files)
        if (iequals(said.path, file.path) && !said.version.empty() && said.version != file.version)
            note(out, "version of " + name,
                 fmt::format("WMI says {}, its copy {}, which was taken: is it this machine's?", said.version,
                             file.version));
    std::erase_if(out.os.system_files, [&](const SystemFile& said) { return iequals(said.path, file.path); });
    if (out.os.system_files.size() < kMaxListed) out.os.system_files.push_back(std::move(file));
    // The device of the HAL goes by the same row, and so does what the kernel is for.
    if (const auto* hal = patches::hal_of_file(version.original_name); hal && name == patches::kHalFile)
        if (out.os.hal.empty()) out.os.hal = hal->hardware_id;
    if (const auto* kernel = patches::kernel_of_file(version.original_name); kernel && name == kernel->installed)
        if (!out.os.multiprocessor) out.os.multiprocessor = kernel->mp;
}

// It lies on the volume that starts Windows, which has mostly the letter of Windows' own.
void take_boot_ini(std::string text, Inventory& out) {
    std::string letter = out.os.system_root.size() >= 2 ? out.os.system_root.substr(0, 2) : "C:";
    for (const auto& v : out.volumes)
        if (v.system_volume == true && !v.mount_points.empty()) letter = v.mount_points.front().substr(0, 2);
    std::erase_if(out.boot.files, [](const ConfigurationFile& f) { return iequals(f.path.substr(2), "\\boot.ini"); });
    out.boot.files.push_back({letter + "\\boot.ini", std::move(text)});
}

}  // namespace

bool is_copied_file(ByteView bytes) {
    return is_program(bytes) || is_boot_ini(decode_text(bytes.first(std::min<std::size_t>(bytes.size(), 65536))));
}

Status take_copied_file(const Dump& dump, Inventory& out) {
    if (is_program(dump.bytes)) {
        auto version = patches::read_pe_version(dump.bytes);
        if (!version) return make_error(errors::kBadDump, "{}: {}", printable(dump.name), version.error().message());
        take_program(to_lower(base_name(dump.name)), dump.bytes.size(), *version, out);
        return {};
    }
    if (dump.bytes.size() > kMaxBootIni)
        return make_error(errors::kBadDump, "{} has {}", printable(dump.name), human_bytes(dump.bytes.size()));
    take_boot_ini(decode_text(dump.bytes), out);
    return {};
}

}  // namespace slipway::gatherhw
