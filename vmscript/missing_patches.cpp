// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/missing_patches.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "guest-fixup/windows/hal/boot_ini.hpp"
#include "lib/base/strings.hpp"
#include "vmscript/nt.hpp"
#include "vmscript/plan.hpp"

namespace slipway::vmscript {

namespace {

using patches::FixHal;
using patches::kHalFile;
using patches::kKernelFile;
using patches::kPaeKernelFile;

// An installed file as far as it is known.
struct Known {
    std::string name;                             // "hal.dll"
    std::string original;                         // "halmacpi.dll"; "": not known
    std::optional<patches::FileVersion> version;  // nothing: not known
    std::optional<std::uint16_t> language;
};

std::optional<std::uint16_t> language_of(const std::string& text) {
    const auto code = from_hex(text);
    if (!code || code->size() != 2) return std::nullopt;
    return static_cast<std::uint16_t>(std::to_integer<unsigned>((*code)[0]) << 8 |
                                      std::to_integer<unsigned>((*code)[1]));
}

// The last two parts of its path: the same name is in dllcache and ServicePackFiles too.
bool is_in_system32(std::string_view path, std::string_view name) {
    const auto parts = split(to_lower(path), '\\');
    return parts.size() >= 2 && parts.back() == to_lower(name) && parts[parts.size() - 2] == "system32";
}

Known look_up(const HalFacts& facts, std::string_view name) {
    Known out{to_lower(name), "", std::nullopt, std::nullopt};
    for (const auto& fact : facts.files) {
        if (!is_in_system32(fact.path, name)) continue;
        out.original = to_lower(fact.original_name);
        out.version = patches::FileVersion::parse(fact.version);
        out.language = language_of(fact.language);
        break;
    }
    return out;
}

bool is_there(const HalFacts& facts, std::string_view name) {
    return std::any_of(facts.files.begin(), facts.files.end(),
                       [&](const auto& fact) { return is_in_system32(fact.path, name); });
}

bool is_32_bit(std::string_view architecture) {
    for (auto name : {"x86", "i386", "i486", "i586", "i686", "32-bit"})
        if (iequals(name, architecture)) return true;
    return false;
}

// What /HAL= or /KERNEL= of the entry that starts names: a file of system32, by its name alone.
std::string switched(const HalFacts& facts, std::string_view name) {
    const auto entries = fixup::windows::read_boot_ini(facts.boot_ini);
    const auto* entry = fixup::windows::default_entry(entries);
    auto file = entry ? fixup::windows::switch_value(*entry, name) : "";
    return file.find_first_of("/\\:") == std::string::npos ? to_lower(file) : "";
}

// The inventory's facts as the policy wants them, and what of them is not known.
struct Looked {
    patches::InstalledSystem system;
    std::vector<Known> files;

    const Known& of(std::string_view name) const {
        return *std::find_if(files.begin(), files.end(), [&](const auto& file) { return file.name == name; });
    }
    // The policy asks for a version, and gets what stands for one that is not known.
    patches::InstalledFile add(Known file) {
        patches::PeVersion version{.machine = patches::Machine::X86,
                                   .version = file.version.value_or(patches::FileVersion{}),
                                   .language = file.language.value_or(0),
                                   .original_name = file.original};
        patches::InstalledFile out{file.name, std::move(version)};
        if (std::none_of(files.begin(), files.end(), [&](const auto& f) { return f.name == file.name; }))
            files.push_back(std::move(file));
        return out;
    }
};

Looked look_at(const HalFacts& facts) {
    Looked out;
    const auto parts = split(facts.os_version, '.');
    out.system.x86 = is_32_bit(facts.architecture);
    out.system.hardware_id = facts.hal;
    out.system.major = static_cast<unsigned>(parse_u64(parts[0]).value_or(0) & 0xffff);
    out.system.minor = parts.size() > 1 ? static_cast<unsigned>(parse_u64(parts[1]).value_or(0) & 0xffff) : 0;
    const auto hal = switched(facts, "/HAL"), kernel = switched(facts, "/KERNEL");
    for (auto name : {kHalFile, kKernelFile, kPaeKernelFile}) {
        // Every Windows has the first two.
        if (name == kPaeKernelFile && !facts.pae && !is_there(facts, name)) continue;
        auto file = look_up(facts, name);
        const auto* row = name == kHalFile ? patches::hal_of_hardware_id(facts.hal) : nullptr;
        if (file.original.empty() && row) file.original = row->file;
        if (file.original.empty() && name != kHalFile && kernel.empty() && facts.multiprocessor)
            file.original = patches::kernel_for(name, *facts.multiprocessor).file;
        out.system.files.push_back(out.add(std::move(file)));
    }
    if (!hal.empty()) out.system.switched_hal = out.add(look_up(facts, hal));
    if (!kernel.empty()) out.system.switched_kernel = out.add(look_up(facts, kernel));
    return out;
}

// Whether the library has it in the language that is not known.
void judge_language(const patches::WantedFile& file, const patches::Library& library, MissingPatches& out) {
    const auto& key = file.key;
    std::vector<std::string> languages;
    for (const auto& has : library.files())
        if (has.key.name == key.name && has.key.version == key.version)
            languages.push_back(patches::language_code(has.key.language));
    const auto text = fmt::format("{} {}", key.name, key.version.text());
    if (languages.empty()) out.any_language.push_back(text + ", in whichever language");
    else
        out.unknown.push_back(fmt::format("the language of system32\\{} (the library has {} as {})", file.like, text,
                                          join(languages, ", ")));
}

void judge(const Looked& looked, const std::vector<patches::WantedFile>& files, const patches::Library& library,
           MissingPatches& out) {
    for (const auto& file : files) {
        const auto& like = looked.of(file.like);
        if (looked.of(file.install_as).original.empty()) {
            out.unknown.push_back(fmt::format("which kernel system32\\{} is", file.install_as));
        } else if (!like.version) {
            out.unknown.push_back(fmt::format("the version of system32\\{}", like.name));
        } else if (!like.language) {
            out.wanted.push_back(file);
            judge_language(file, library, out);
        } else {
            out.wanted.push_back(file);
            if (library.find(file.key) == nullptr) out.missing.push_back(file);
        }
    }
}

}  // namespace

MissingPatches missing_patches(const HalFacts& facts, const patches::TargetMachine& target, FixHal fix,
                               const patches::Library& library) {
    const auto looked = look_at(facts);
    const auto& system = looked.system;
    MissingPatches out;
    if (system.major == 0) out.unknown.emplace_back("which Windows it is");
    else if (system.major < 6 && facts.architecture.empty()) out.unknown.emplace_back("for which processor Windows is");
    if (!out.unknown.empty()) return out;
    // Every file has something for a version, so that an error is the policy's own.
    auto decided = patches::decide_hal(system, target, fix);
    if (!decided) {
        out.refused = decided.error().message();
        return out;
    }
    out.why = std::move(decided->why);
    out.warnings = std::move(decided->warnings);
    if (!system.x86 || system.major >= 6) return out;
    if (fix == FixHal::None) return out;
    for (const auto& file : {system.switched_hal, system.switched_kernel})
        if (file && looked.of(file->name).original.empty())
            out.unknown.push_back(fmt::format("what system32\\{} is, which boot.ini names", file->name));
    if (!system.switched_hal && looked.of(kHalFile).original.empty())
        out.unknown.push_back(fmt::format("which HAL system32\\{} is", kHalFile));
    if (out.unknown.empty()) judge(looked, decided->files, library, out);
    return out;
}

std::optional<PatchFiles> missing_patch_files(const gatherhw::Inventory& inventory, const Switches& switches) {
    const auto& os = inventory.os;
    if (os.family != "windows") return std::nullopt;
    std::vector<std::filesystem::path> directories;
    if (!switches.patch_directory.empty()) directories.emplace_back(switches.patch_directory);
    directories.emplace_back(patches::kDefaultLibrary);
    HalFacts facts{os.version, os.architecture, os.hal, {}, os.multiprocessor, os.pae == true};
    for (const auto& file : os.system_files)
        facts.files.push_back({file.path, file.version, file.original_name, file.language});
    for (const auto& file : inventory.boot.files)
        if (to_lower(file.path).ends_with("boot.ini")) facts.boot_ini = file.text;
    const patches::TargetMachine target{.processors =
                                            std::clamp(inventory.system.processors.threads, 1u, kMaxProcessors)};
    auto found =
        missing_patches(facts, target, switches.fix_hal.value_or(FixHal::Auto), patches::Library::open(directories));
    if (const auto nt = nt_version(os); nt && *nt >= kVista && found.refused.empty()) return std::nullopt;
    PatchFiles out{.why = std::move(found.why),
                   .wanted = found.wanted.size(),
                   .missing = {},
                   .refused = std::move(found.refused),
                   .unknown = std::move(found.unknown)};
    for (const auto& file : found.missing) out.missing.push_back(file.key.text());
    for (auto& text : found.any_language) out.missing.push_back(std::move(text));
    return out;
}

}  // namespace slipway::vmscript
