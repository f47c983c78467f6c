// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/script.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::pxe {

namespace {

// Neither a new line, nor iPXE's expansion and separators, nor a second word.
bool is_word(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return c > ' ' && c < 0x7f &&
               std::string_view("$\"'\\;&|#").find(static_cast<char>(c)) == std::string_view::npos;
    });
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

}  // namespace

Result<std::string> agent_script(const AgentBoot& boot) {
    std::vector<std::string> words{boot.kernel, boot.ramdisk, boot.token};
    auto more = split(boot.more, ' ');
    if (!boot.more.empty()) words.insert(words.end(), more.begin(), more.end());
    for (const auto& word : words)
        if (!is_word(word))
            return make_error(slipway::errors::kBadValue, "'{}' cannot stand in a boot script", printable(word));
    auto address = boot.server.text();
    // As ramfs the ramdisk may take more than half of a small machine's memory, which tmpfs refuses. Linux 6.1 keeps an
    // inode for each of its thousands of trace events, 10 MiB in all: left out. An unknown initcall is no error.
    auto arguments = fmt::format("rootfstype=ramfs initcall_blacklist=tracer_init_tracefs slipway.server=https://{}:{}",
                                 address, boot.tls_port);
    if (boot.http_port != 0) arguments += fmt::format(" slipway.bulk=http://{}:{}", address, boot.http_port);
    arguments += fmt::format(" slipway.token={} slipway.time={} slipway.mac={}", boot.token,
                             unix_milliseconds(boot.now) / 1000, boot.mac.text());
    if (!boot.more.empty()) arguments += " " + boot.more;
    auto tftp = fmt::format("tftp://{}/boot/", address);
    auto first = boot.http_port ? fmt::format("http://{}:{}/boot/", address, boot.http_port) : tftp;
    return fmt::format(kFetch, fmt::arg("first", first), fmt::arg("second", tftp), fmt::arg("kernel", boot.kernel),
                       fmt::arg("ramdisk", boot.ramdisk), fmt::arg("arguments", arguments));
}

std::string local_disk_script(LocalDiskWay way) {
    std::string out = "#!ipxe\necho Slipway: starting from the local disk\n";
    if (way == LocalDiskWay::SanBoot) out += "sanboot --no-describe --drive 0x80 ||\n";
    return out + "exit\n";
}

}  // namespace slipway::pxe
