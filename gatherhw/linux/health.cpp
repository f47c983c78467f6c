// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/linux/health.hpp"

#include <array>

#include <fmt/format.h>
#include <linux/nvme_ioctl.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>

namespace slipway::gatherhw {

namespace {

constexpr unsigned kTimeout = 5000;  // milliseconds

HealthAnswer ask_ata(int fd) {
    // ATA PASS-THROUGH (16), no data, the registers are to come back: SMART (0xb0), RETURN STATUS (0xda).
    std::array<unsigned char, 16> command{0x85, 3 << 1, 0x20, 0, 0xda, 0, 0, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0xb0, 0};
    std::array<std::byte, 64> sense{};
    sg_io_hdr io{};
    io.interface_id = 'S';
    io.dxfer_direction = SG_DXFER_NONE;
    io.cmdp = command.data();
    io.cmd_len = static_cast<unsigned char>(command.size());
    io.sbp = reinterpret_cast<unsigned char*>(sense.data());
    io.mx_sb_len = static_cast<unsigned char>(sense.size());
    io.timeout = kTimeout;
    return ::ioctl(fd, SG_IO, &io) == 0 ? read_ata_sense(sense) : HealthAnswer{};
}

HealthAnswer ask_nvme(int fd) {
    std::array<std::byte, 512> log{};
    nvme_admin_cmd command{};
    command.opcode = 0x02;  // get log page
    command.nsid = 0xffffffff;
    command.addr = reinterpret_cast<std::uintptr_t>(log.data());
    command.data_len = log.size();
    command.cdw10 = 0x02 | (log.size() / 4 - 1) << 16;
    command.timeout_ms = kTimeout;
    return ::ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command) == 0 ? read_nvme_log(log) : HealthAnswer{};
}

}  // namespace

HealthAnswer read_ata_sense(ByteView sense) {
    ByteReader reader(sense);
    auto form = reader.u8() & 0x7f;
    reader.seek(8);
    auto descriptor = reader.u8();
    reader.seek(8 + 9);
    auto middle = reader.u8();
    reader.seek(8 + 11);
    auto high = reader.u8();
    constexpr std::uint8_t kDescriptorForm = 0x72, kAtaReturn = 0x09;
    if (reader.failed() || form != kDescriptorForm || descriptor != kAtaReturn) return {};
    if (middle == 0x4f && high == 0xc2) return {Health::Good, "SMART: no threshold exceeded"};
    if (middle == 0xf4 && high == 0x2c) return {Health::Failing, "SMART: a threshold is exceeded"};
    return {};
}

HealthAnswer read_nvme_log(ByteView log) {
    ByteReader reader(log);
    auto warning = reader.u8();
    auto temperature = reader.le16();
    // A controller that does not fill the page leaves zeros: no disk is at 0 K.
    if (reader.failed() || log.size() < 512 || temperature == 0) return {};
    constexpr unsigned kSpare = 1, kDegraded = 4, kReadOnly = 8, kBackup = 16;
    if ((warning & (kSpare | kDegraded | kReadOnly | kBackup)) == 0) return {Health::Good, "NVMe: no critical warning"};
    std::string what;
    if (warning & kSpare) what += ", spare blocks run out";
    if (warning & kDegraded) what += ", degraded by errors";
    if (warning & kReadOnly) what += ", read-only";
    if (warning & kBackup) what += ", its memory backup failed";
    return {Health::Failing, "NVMe: " + what.substr(2)};
}

HealthAnswer ask_health(int fd, BusKind bus) {
    if (bus == BusKind::Sata || bus == BusKind::Ide) return ask_ata(fd);
    return bus == BusKind::Nvme ? ask_nvme(fd) : HealthAnswer{};
}

}  // namespace slipway::gatherhw
