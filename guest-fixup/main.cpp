// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <sys/eventfd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <iostream>

#include "guest-fixup/options.hpp"
#include "guest-fixup/serve.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "slipway_version.hpp"

namespace {

using namespace slipway;

constexpr const char* kExamples = R"(
Examples:
  slipway-fixup --disk /dev/sda --target ide --nic ens18=52:54:00:51:00:02
  slipway-fixup --disk poseidon.vhd --target virtio-blk --proof-nonce a1b2c3
  slipway-fixup --disk /dev/sda --more-disk /dev/sdb --target nvme --luks-key /run/key
  slipway-fixup --root /mnt --target nvme --firmware uefi --dry-run --json
  slipway-fixup --disk web.img --target virtio-blk --personality forty.json --device web01 --guest-agent
  slipway-fixup --disk web.img --target virtio-blk --hostname web01 --machine-id new --ssh-host-keys new \
      --address ens3=10.0.0.5/24,gateway=10.0.0.1,dns=10.0.0.53 --first-boot-script setup.sh
  slipway-fixup --disk old-server.img --target ide --drivers-file P2Vdrivers.xml
  slipway-fixup --disk windows.img --target virtio-blk --drivers /media/virtio-win --nic 00:14:22:aa:bb:cc=52:54:00:51:00:02
  slipway-fixup --disk reference.img --prepare-template       clears keys, ids, logs; cannot be undone
  slipway-fixup --disk web.img --target virtio-scsi --serial-console
  slipway-fixup --disk xp.img --target ide --dry-run          Windows: what would change, key by key
  slipway-fixup --disk server2022.vhd --target sata --firmware uefi
  slipway-fixup --disk web2003.vhd --target ide --fixhal acpi --hwpatchdir /srv/Patches
  slipway-fixup --disk /dev/sda --undo

The disk is locked meanwhile; one that is mounted is refused. ^C and SIGTERM take back what was changed.
`slipway fixup` does the same on disks that this machine cannot open by itself.
Exit codes: 0 done (also when nothing was to do), 1 failed, 2 usage, 3 done with warnings.)";

int fail(const Error& error, bool json = false, int code = kExitFailed) {
    if (json) std::cout << fixup::to_json(error) << '\n';
    else std::cerr << "error: " << error.explain() << '\n';
    return code;
}

std::atomic<int> cancel_event{-1};  // for the handler

// The repair takes back what it has changed; the second signal ends the program at once.
int cancelled_by_signals() {
    cancel_event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction action {};
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    action.sa_handler = [](int) {
        const auto before = errno;
        (void)::eventfd_write(cancel_event, 1);
        errno = before;
    };
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    return cancel_event;
}

int serve_at(const std::string& port) {
    std::signal(SIGPIPE, SIG_IGN);
    auto fd = open_fd(port, O_RDWR);
    if (!fd) return fail(fd.error());
    auto served = fixup::serve(fd->get(), fixup::repair);
    return served ? kExitDone : fail(served.error());
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Repairs a deployed Linux or Windows, offline, for the hardware it will find."};
    app.footer(kExamples);
    app.set_version_flag("--version", std::string(kVersion));
    fixup::Options options;
    options.add_to(app, "the disk: a block device, a raw file or a fixed VHD");
    bool json = false;
    std::string port;
    app.add_flag("--json", json, "one JSON document on standard output: the report, or the error");
    app.add_option("--serve", port,
                   "takes the request from this virtio-serial port instead: the appliance of `slipway fixup`");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitDone : kExitUsage;
    }
    if (!port.empty()) return serve_at(port);
    auto request = options.request();
    if (!request) return fail(request.error(), json, kExitUsage);
    request->cancel_fd = cancelled_by_signals();
    const auto report = fixup::repair(*request, [](const std::string& step) { std::cerr << step << " …\n"; });
    if (!report) return fail(report.error(), json);
    std::cout << (json ? to_json(*report) + "\n" : to_text(*report));
    return exit_code(*report);
}
