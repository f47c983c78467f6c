// SPDX-License-Identifier: GPL-3.0-or-later
// /lib/modules, /boot and /bin of a Debian with the phony kernel of the fuzz seeds: one network card, acme.ko, and ahci
// built in. So tests need no kernel.
#pragma once

#include <filesystem>

#include <gtest/gtest.h>

#include "agent-ramdisk/builder/elf.hpp"
#include "lib/base/fd.hpp"

namespace slipway::builder::phony {

inline constexpr const char* kVersion = "6.1.0-28-amd64";
inline constexpr const char* kAcme = "pci:v0000ABCDd00001234sv00001028sd00000001bc02sc00i00";
inline constexpr const char* kAhci = "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01";

inline Bytes seed(const std::string& name) {
    return read_file(std::string(SLIPWAY_SOURCE_DIR) + "/agent-ramdisk/builder/fuzz/seeds-modinfo/" + name).value();
}

inline void put(const std::filesystem::path& path, ByteView content, unsigned mode = 0644) {
    std::filesystem::create_directories(path.parent_path());
    ASSERT_TRUE(write_file_atomic(path, content, mode).ok());
}

// Of Debian's two packages that bring /bin/busybox, only busybox-static's works in a ramdisk.
inline bool busybox_is_static() {
    auto file = read_file("/bin/busybox");
    auto needs = file ? read_elf(*file) : Result<ElfNeeds>(file.error());
    return needs.ok() && needs->interpreter.empty();
}

inline void make_phony_kernel(const std::filesystem::path& root) {
    auto modules = root / "lib/modules" / kVersion;
    put(modules / "modules.dep", as_bytes("kernel/drivers/net/ethernet/acme/acme.ko: kernel/drivers/net/phy/libphy.ko\n"
                                          "kernel/drivers/net/phy/libphy.ko:\nkernel/fs/ext4/ext4.ko:\n"));
    put(modules / "modules.alias", as_bytes("alias pci:v0000ABCDd00001234sv*sd*bc*sc*i* acme\n"));
    put(modules / "modules.softdep", {});
    put(modules / "modules.builtin", as_bytes("kernel/drivers/ata/ahci.ko\n"));
    put(modules / "modules.builtin.modinfo", seed("builtin"));
    for (const char* path :
         {"kernel/drivers/net/ethernet/acme/acme.ko", "kernel/drivers/net/phy/libphy.ko", "kernel/fs/ext4/ext4.ko"})
        put(modules / path, seed("module"));
    put(root / "boot" / (std::string("vmlinuz-") + kVersion), seed("bzimage"));
    put(root / "bin/busybox", read_file("/bin/busybox").value(), 0755);
}

}  // namespace slipway::builder::phony
