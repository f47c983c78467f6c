// SPDX-License-Identifier: GPL-3.0-or-later
// A module, a list of built-in drivers, a kernel image: what is read of any of them lies in its bytes.
#include <cstdlib>

#include "agent-ramdisk/builder/modinfo.hpp"

using namespace slipway;
using namespace slipway::builder;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ByteView file = std::as_bytes(std::span(data, size));
    if (auto info = read_module_info(file)) {
        std::size_t texts = info->name.size() + info->vermagic.size();
        for (const auto* list : {&info->aliases, &info->depends, &info->softdeps, &info->firmware})
            for (const auto& text : *list) texts += text.size();
        if (texts > size) std::abort();
    }
    for (const auto& [module, alias] : builtin_aliases(file))
        if (module.size() + alias.size() > size) std::abort();
    if (kernel_version_of(file).find('/') != std::string::npos) std::abort();
    return 0;
}
