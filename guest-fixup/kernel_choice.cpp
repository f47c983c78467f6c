// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/kernel_choice.hpp"

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

bool has(std::string_view text, std::string_view word) { return text.find(word) != text.npos; }

bool for_xen(const MenuEntry& entry, const std::string& version) { return entry.xen || has(to_lower(version), "xen"); }

// The smaller the better; a debug kernel runs, a rescue entry does not serve.
int rank(const MenuEntry& entry, const std::string& version) {
    const auto title = to_lower(entry.title);
    const bool rescue = has(version, "rescue") || has(title, "rescue") || has(title, "recovery") ||
                        has(title, "fallback") || has(title, "failsafe") || has(title, "single user");
    const bool debug = has(version, "debug") || has(version, "kdump");
    return (for_xen(entry, version) ? 4 : 0) + (rescue ? 2 : 0) + (debug ? 1 : 0);
}

std::optional<bool> fitness(const MenuEntry& entry, const FitKernels& kernels) {
    const auto found = kernels.find(version_in_path(entry.kernel));
    if (entry.kernel.empty() || found == kernels.end()) return std::nullopt;
    return found->second;
}

struct Verdict {
    std::string why;  // empty: the entry that starts now is good
    std::optional<std::size_t> better;
};

Verdict judge(const BootMenu& menu, const FitKernels& kernels) {
    if (!menu.chosen || *menu.chosen >= menu.entries.size()) return {};
    const auto& now = menu.entries[*menu.chosen];
    const auto version = version_in_path(now.kernel);
    const auto fit = fitness(now, kernels);
    if (!fit) return {};
    if (*fit && !for_xen(now, version)) return {};
    Verdict verdict{*fit ? fmt::format("kernel {} is one for Xen", printable(version))
                         : fmt::format("kernel {} cannot find its disk on the target", printable(version)),
                    std::nullopt};
    for (std::size_t i = 0; i < menu.entries.size(); ++i) {
        const auto& entry = menu.entries[i];
        if (!fitness(entry, kernels).value_or(false)) continue;
        const auto own = version_in_path(entry.kernel);
        if (*fit && for_xen(entry, own)) continue;  // no better than what starts now
        if (verdict.better) {
            const auto& best = menu.entries[*verdict.better];
            const auto best_version = version_in_path(best.kernel);
            const int order = rank(best, best_version) - rank(entry, own);
            if (order < 0 || (order == 0 && compare_versions(own, best_version) <= 0)) continue;
        }
        verdict.better = i;
    }
    return verdict;
}

}  // namespace

std::optional<KernelChoice> choose_entry(const BootMenu& menu, const FitKernels& kernels) {
    auto verdict = judge(menu, kernels);
    if (!verdict.better) return std::nullopt;
    return KernelChoice{*verdict.better, std::move(verdict.why)};
}

std::string nothing_to_choose(const BootMenu& menu, const FitKernels& kernels) {
    auto verdict = judge(menu, kernels);
    return verdict.better ? std::string() : std::move(verdict.why);
}

}  // namespace slipway::fixup
