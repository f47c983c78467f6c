// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/missing_patches.hpp"

#include <algorithm>
#include <filesystem>

#include "lib/base/strings.hpp"
#include "lib/patches/errors.hpp"
#include "vmscript/nt.hpp"
#include "vmscript/plan.hpp"

namespace slipway::vmscript {

namespace {

std::string leaf(std::string_view path) {
    const auto slash = path.find_last_of("\\/");
    return to_lower(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::optional<patches::PeVersion> version_of(const SystemFileFact& fact) {
    const auto version = patches::FileVersion::parse(fact.version);
    const auto code = fact.language.empty() ? from_hex("0000") : from_hex(fact.language);
    if (!version || fact.original_name.empty() || !code || code->size() != 2) return std::nullopt;
    const auto language = std::to_integer<unsigned>((*code)[0]) << 8 | std::to_integer<unsigned>((*code)[1]);
    return patches::PeVersion{.machine = patches::Machine::X86,
                              .version = *version,
                              .language = static_cast<std::uint16_t>(language),
                              .original_name = to_lower(fact.original_name)};
}

bool is_32_bit(std::string_view architecture) {
    for (auto name : {"x86", "i386", "i486", "i586", "i686", "32-bit"})
        if (iequals(name, architecture)) return true;
    return false;
}

patches::InstalledSystem system_of(const HalFacts& facts) {
    const auto parts = split(facts.os_version, '.');
    patches::InstalledSystem out{.x86 = is_32_bit(facts.architecture), .hardware_id = facts.hal};
    out.major = static_cast<unsigned>(parse_u64(parts[0]).value_or(0) & 0xffff);
    out.minor = parts.size() > 1 ? static_cast<unsigned>(parse_u64(parts[1]).value_or(0) & 0xffff) : 0;
    for (const auto& fact : facts.files) {
        const auto name = leaf(fact.path);
        if (name == patches::kHalFile || name == patches::kKernelFile || name == patches::kPaeKernelFile)
            out.files.push_back({name, version_of(fact)});
    }
    return out;
}

}  // namespace

Result<MissingPatches> missing_patches(const HalFacts& facts, const patches::TargetMachine& target, patches::FixHal fix,
                                       const patches::Library& library) {
    const auto system = system_of(facts);
    MissingPatches out;
    if (system.major == 0) out.why = "the inventory does not say which Windows it is";
    else if (system.major < 6 && facts.architecture.empty())
        out.why = "the inventory does not say for which processor it is";
    else if (system.x86 && system.major < 6 && system.files.empty())
        out.why = "the inventory does not say which HAL and kernel it has";
    out.known = out.why.empty();
    if (!out.known) return out;
    auto decision = TRY(patches::decide_hal(system, target, fix));
    out.why = std::move(decision.why);
    out.wanted = std::move(decision.files);
    out.missing = patches::missing_in(library, out.wanted);
    out.warnings = std::move(decision.warnings);
    return out;
}

Result<std::optional<PatchFiles>> missing_patch_files(const gatherhw::Inventory& inventory, const Switches& switches) {
    const auto nt = nt_version(inventory.os);
    if (!nt || *nt >= kVista) return std::optional<PatchFiles>();
    std::vector<std::filesystem::path> directories;
    if (!switches.patch_directory.empty()) directories.emplace_back(switches.patch_directory);
    directories.emplace_back(patches::kDefaultLibrary);
    HalFacts facts{inventory.os.version, inventory.os.architecture, inventory.os.hal, {}};
    for (const auto& file : inventory.os.system_files)
        facts.files.push_back({file.path, file.version, file.original_name, file.language});
    const patches::TargetMachine target{.processors =
                                            std::clamp(inventory.system.processors.threads, 1u, kMaxProcessors)};
    const auto fix = switches.fix_hal.value_or(patches::FixHal::Auto);
    auto looked = missing_patches(facts, target, fix, patches::Library::open(directories));
    // Nobody asked for an exchange: the repair leaves such a HAL as it is, with a warning.
    if (!looked && fix == patches::FixHal::Auto && looked.error().is(patches::errors::kHal))
        return std::optional<PatchFiles>();
    auto found = TRY(std::move(looked));
    if (!found.known) return std::optional<PatchFiles>();
    PatchFiles out{.why = std::move(found.why), .wanted = found.wanted.size(), .missing = {}};
    for (const auto& file : found.missing) out.missing.push_back(file.key.text());
    return std::optional(std::move(out));
}

}  // namespace slipway::vmscript
