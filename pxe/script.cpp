// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/script.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::pxe {

namespace {

// Neither a new line, nor an expansion, a separator or a quote of iPXE or GRUB, nor a second word.
bool is_word(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return c > ' ' && c < 0x7f &&
               std::string_view("$\"'\\;&|#<>{}").find(static_cast<char>(c)) == std::string_view::npos;
    });
}

Status check_words(std::vector<std::string> words) {
    for (const auto& word : words)
        if (!is_word(word))
            return make_error(slipway::errors::kBadValue, "'{}' cannot stand in a boot script", printable(word));
    return {};
}

constexpr std::string_view kFetch = R"(#!ipxe
echo Slipway: starting the deployment agent
set base {first}
:fetch
imgfree
kernel ${{base}}{kernel} initrd=ramdisk {arguments} || goto failed
initrd --name ramdisk ${{base}}{ramdisk} || goto failed
boot || goto failed
:failed
iseq ${{base}} {second} && goto again ||
echo Slipway: trying {second}
set base {second}
goto fetch
:again
echo Slipway: the boot files cannot be fetched, starting over in 10 s
sleep 10
reboot
)";

constexpr std::string_view kGrubFetch = R"(set timeout=0
echo 'Slipway: starting the deployment agent'
set base='(tftp,{server})/boot/'
if linux "$base"{kernel} {arguments}; then
    if initrd "$base"{ramdisk}; then
        boot
    fi
fi
echo 'Slipway: the boot files cannot be fetched, starting over in 10 s'
sleep 10
reboot
)";

// The order in which an installed system is looked for; the last is what removable media have.
constexpr std::string_view kGrubLocal = R"(set timeout=0
echo 'Slipway: starting from the local disk'
for loader in /EFI/Microsoft/Boot/bootmgfw.efi /EFI/debian/shim{arch}.efi /EFI/ubuntu/shim{arch}.efi /EFI/redhat/shim{arch}.efi /EFI/BOOT/BOOT{ARCH}.EFI; do
    if search --no-floppy --file --set=disk "$loader"; then
        set root="$disk"
        if chainloader "$loader"; then
            boot
        fi
    fi
done
)";

constexpr unsigned kMostCards = 8;
constexpr std::string_view kGrubFirst = R"(# For whoever asks: what a machine boots is in the file of its MAC address.
if [ -z "$net_default_mac" ]; then net_bootp; fi
for mac in "$net_default_mac"{cards}; do
    if [ -n "$mac" ]; then
        for server in{servers}; do
            source "(tftp,$server)/boot/grub/$mac"
        done
    fi
done
echo 'Slipway: there is no boot file for this machine, starting over in 10 s'
sleep 10
reboot
)";

constexpr std::string_view kImage = R"(#!ipxe
echo Slipway: starting the image {name}
iseq ${{platform}} efi && goto efi ||
{bios}:memdisk
kernel {base}loaders/memdisk {how} || goto failed
initrd {base}images/{name} || goto failed
boot || goto failed
:efi
{efi}:failed
echo Slipway: the image {name} cannot be started, going on to the next boot device in 10 s
sleep 10
exit 1
)";

// As ramfs the ramdisk may take more than half of a small machine's memory, which tmpfs refuses. Linux 6.1 keeps an
// inode for each of its thousands of trace events, 10 MiB in all: left out. An unknown initcall is no error.
std::vector<std::string> kernel_arguments(const AgentBoot& boot) {
    auto address = boot.server.text();
    std::vector<std::string> out{"rootfstype=ramfs", "initcall_blacklist=tracer_init_tracefs",
                                 fmt::format("slipway.server=https://{}:{}", address, boot.tls_port)};
    if (boot.http_port != 0) out.push_back(fmt::format("slipway.bulk=http://{}:{}", address, boot.http_port));
    out.push_back("slipway.token=" + boot.token);
    out.push_back(fmt::format("slipway.time={}", unix_milliseconds(boot.now) / 1000));
    out.push_back("slipway.mac=" + boot.mac.text());
    for (auto& word : split(boot.more, ' '))
        if (!word.empty()) out.push_back(std::move(word));
    return out;
}

std::string base_of(Ipv4Address server, std::uint16_t http_port) {
    if (http_port == 0) return fmt::format("tftp://{}/boot/", server.text());
    return fmt::format("http://{}:{}/boot/", server.text(), http_port);
}

Status check(const AgentBoot& boot) {
    TRY(check_words({boot.kernel, boot.ramdisk, boot.token}));
    return check_words(kernel_arguments(boot));
}

}  // namespace

Result<std::string> agent_script(const AgentBoot& boot) {
    TRY(check(boot));
    return fmt::format(kFetch, fmt::arg("first", base_of(boot.server, boot.http_port)),
                       fmt::arg("second", base_of(boot.server, 0)), fmt::arg("kernel", boot.kernel),
                       fmt::arg("ramdisk", boot.ramdisk), fmt::arg("arguments", join(kernel_arguments(boot), " ")));
}

Result<std::string> agent_grub_script(const AgentBoot& boot) {
    TRY(check(boot));
    std::string arguments;
    for (const auto& word : kernel_arguments(boot)) arguments += (arguments.empty() ? "'" : " '") + word + "'";
    return fmt::format(kGrubFetch, fmt::arg("server", boot.server.text()), fmt::arg("kernel", boot.kernel),
                       fmt::arg("ramdisk", boot.ramdisk), fmt::arg("arguments", arguments));
}

std::string local_disk_script(LocalBoot way, Ipv4Address server, std::uint16_t http_port) {
    std::string out = "#!ipxe\necho Slipway: starting from the local disk\n";
    if (way == LocalBoot::SanBoot) out += "sanboot --no-describe --drive 0x80 ||\n";
    if (way == LocalBoot::ChainLoad)
        out += "iseq ${platform} efi && chain " + base_of(server, http_port) + "loaders/localx64.efi ||\n";
    // UEFI takes a success for the end of all booting; with an error it goes on with its next boot option.
    return out + "exit 1\n";
}

std::string local_disk_grub_script(LocalBoot way) {
    std::string out;
    if (way != LocalBoot::Exit)
        for (auto [arch, upper] : {std::pair{"x64", "X64"}, std::pair{"ia32", "IA32"}}) {
            out +=
                fmt::format("if [ \"$grub_cpu\" = {} ]; then\n", arch == std::string_view("x64") ? "x86_64" : "i386");
            out += fmt::format(kGrubLocal, fmt::arg("arch", arch), fmt::arg("ARCH", upper)) + "fi\n";
        }
    return out + "exit\n";
}

Result<std::string> image_script(const ImageBoot& boot) {
    TRY(check_words({boot.name}));
    auto base = base_of(boot.server, boot.http_port);
    const bool floppy = boot.kind == ImageKind::Floppy;
    auto san = boot.http_port && !floppy ? fmt::format("sanboot --no-describe {}images/{} ||\n", base, boot.name) : "";
    return fmt::format(kImage, fmt::arg("name", boot.name), fmt::arg("base", base), fmt::arg("bios", san),
                       fmt::arg("how", floppy ? "floppy raw" : "iso raw"),
                       fmt::arg("efi", floppy ? "echo Slipway: a floppy image cannot be booted on UEFI\n" : san));
}

std::string first_grub_script(const std::vector<Ipv4Address>& servers) {
    std::string list;
    for (const auto& server : servers) list += " '" + server.text() + "'";
    std::string cards;  // where net_bootp puts what it was told, which it does for every card that gets an address
    for (unsigned card = 0; card < kMostCards; ++card) cards += fmt::format(" \"$net_efinet{}_dhcp_mac\"", card);
    return fmt::format(kGrubFirst, fmt::arg("servers", list), fmt::arg("cards", cards));
}

}  // namespace slipway::pxe
