// SPDX-License-Identifier: GPL-3.0-or-later
// A fake guest whose tools are busybox scripts, and what it is made of to the last attribute.
#pragma once

#include <sys/stat.h>
#include <sys/xattr.h>

#include <fmt/format.h>

#include "guest-fixup/test/fake_root.hpp"

namespace slipway::fixup::test {

inline constexpr const char* kInitrd = "/boot/initrd.img-6.1";

inline void put_script(const FakeRoot& guest, const std::string& path, const std::string& body) {
    guest.put(path, "#!/bin/sh\n" + body);
    std::filesystem::permissions(guest.path() / path.substr(1), std::filesystem::perms(0755));
}

// Debian-like, for TargetController::Ide: its initramfs lacks the drivers.
inline void put_system(const FakeRoot& guest) {
    namespace fs = std::filesystem;
    for (const char* name : {"proc", "sys", "dev", "tmp", "run", "bin", "usr/bin", "usr/sbin", "var/lib", "var/tmp"})
        fs::create_directories(guest.path() / name);
    fs::copy_file("/bin/busybox", guest.path() / "bin/busybox");
    for (const char* applet : {"bin/sh", "bin/cat", "bin/cp", "bin/mv", "bin/sleep", "bin/ln", "bin/mkdir", "bin/dd",
                               "bin/sed", "bin/true", "usr/bin/env", "usr/bin/yes"})
        fs::create_symlink("/bin/busybox", guest.path() / applet);
    guest.put("/etc/os-release", "PRETTY_NAME=\"Fake 1\"\n");
    guest.put("/etc/fstab", "UUID=aaaa / ext4 defaults 0 1\n");
    guest.put("/etc/initramfs-tools/initramfs.conf", "MODULES=list\n");
    guest.put("/etc/initramfs-tools/modules", "ahci\n");
    guest.put("/lib/modules/6.1/modules.dep", "k/ata_piix.ko:\nk/sd_mod.ko:\nk/virtio_pci.ko:\nk/virtio_blk.ko:\n");
    guest.put("/lib/systemd/systemd", "");
    fs::create_directories(guest.path() / "lib/systemd/network");
    guest.put("/boot/grub/grub.cfg", "linux /vmlinuz root=UUID=aaaa ro\n");
    guest.put("/boot/grub/device.map", "(hd0) /dev/sda\n");
    guest.put(kInitrd, "k/ahci.ko\n");
    put_script(guest, "/usr/sbin/update-initramfs",
               "sed 's,^,k/,;s,$,.ko,' /etc/initramfs-tools/modules >/boot/new; mv /boot/new /boot/initrd.img-$3\n");
    put_script(guest, "/usr/bin/lsinitramfs", "echo x >>/listed; cat \"$1\"\n");
}

// Everything that a tree is, but times: kind, mode, owner, content or target, extended attributes.
inline std::map<std::string, std::string> manifest(const std::filesystem::path& root) {
    namespace fs = std::filesystem;
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        const auto name = "/" + entry.path().lexically_relative(root).string();
        if (name == "/listed") continue;
        struct stat info {};
        ::lstat(entry.path().c_str(), &info);
        auto& line = all[name];
        line = fmt::format("{:o} {}:{}", info.st_mode, info.st_uid, info.st_gid);
        char names[4096], value[4096];
        const auto length = ::llistxattr(entry.path().c_str(), names, sizeof names);
        for (ssize_t at = 0; at < length; at += static_cast<ssize_t>(std::string_view(names + at).size()) + 1) {
            const auto size = ::lgetxattr(entry.path().c_str(), names + at, value, sizeof value);
            line += fmt::format(" {}={}", names + at, std::string_view(value, size < 0 ? 0 : size));
        }
        if (entry.is_symlink()) line += " -> " + fs::read_symlink(entry.path()).string();
        else if (entry.is_regular_file()) {
            std::ifstream file(entry.path(), std::ios::binary);
            line += " " + std::string(std::istreambuf_iterator<char>(file), {});
        }
    }
    return all;
}

}  // namespace slipway::fixup::test
