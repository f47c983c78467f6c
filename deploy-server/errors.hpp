// SPDX-License-Identifier: GPL-3.0-or-later
// The deploy server's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::server::errors {

inline constexpr ErrorId kDatabase{
    "server.database", "See the server's log; check the disk under the state directory, then start the server again."};
inline constexpr ErrorId kNewerDatabase{"server.newer-database",
                                        "Use the Slipway version that wrote this state directory, or a later one."};
inline constexpr ErrorId kStateInUse{"server.state-in-use",
                                     "Another deploy-server uses this state directory; stop it first."};
inline constexpr ErrorId kAccount{"server.account",
                                  "Make the user (adduser --system --group slipway), and start the server as root."};
inline constexpr ErrorId kBadRequest{"server.bad-request",
                                     "Correct the request; docs/protocols/rest.md has the shapes."};
inline constexpr ErrorId kUnauthorized{"server.unauthorized",
                                       "Give the server's token: SLIPWAY_TOKEN, or the file admin.token."};
inline constexpr ErrorId kNoDevice{"server.no-device", "See `slipway device list` for the devices there are."};
inline constexpr ErrorId kNoBootImage{"server.no-boot-image",
                                      "Copy the image into STATE/boot/images; `slipway netboot images` lists them."};
inline constexpr ErrorId kTooManyDevices{"server.too-many-devices",
                                         "Machines without a record get none by themselves any more: delete those you "
                                         "do not know, and see what on that network "
                                         "makes up addresses."};
inline constexpr ErrorId kNoGroup{"server.no-group", "See `slipway group list` for the groups there are."};
inline constexpr ErrorId kGroupExists{
    "server.group-exists",
    "Give it other members with `slipway group set NAME --device …` (all of them), or choose another name."};
inline constexpr ErrorId kNoJob{"server.no-job", "See `slipway job list` for the jobs there are."};
inline constexpr ErrorId kNoSequence{"server.no-sequence", "See `slipway sequence list` for the sequences there are."};
inline constexpr ErrorId kNoArtifact{"server.no-artifact", "See `slipway job show` for what the job has kept."};
inline constexpr ErrorId kNoUpload{"server.no-upload",
                                   "It has ended, or was idle too long: open another, what was taken is kept."};
inline constexpr ErrorId kTooManyUploads{
    "server.too-many-uploads", "Wait until captures end; one that was given up ends after some idle minutes.", true};
inline constexpr ErrorId kNoWork{"server.no-work", "Begin it again: the server keeps the last few alone, in memory."};
inline constexpr ErrorId kExists{"server.exists", "Choose another name or MAC, or delete the device that has it."};
inline constexpr ErrorId kOtherMachine{
    "server.other-machine",
    "Resume the job that made that record, or undo it with NAME_CleanupVM.sh; a record of your own: `slipway device "
    "delete`. Then start again."};
inline constexpr ErrorId kDeviceBusy{"server.device-busy", "Wait for the job that holds the device, or cancel it."};
inline constexpr ErrorId kImageInUse{"server.image-in-use", "Wait for the job, or cancel it; then delete the version."};
inline constexpr ErrorId kJobState{"server.job-state", "Look at the job's state with `slipway job show` first."};
inline constexpr ErrorId kNoVmHost{
    "server.no-vmhost", "Register the VM host as a device of kind vmhost, or name one with the variable 'vmhost'."};

inline constexpr ErrorId kAddress{
    "server.address",
    "Give the interface the address first (ip addr add), or correct --netboot; STATE/address has what `slipway server "
    "address` moved."};
inline constexpr ErrorId kNoMulticast{"server.no-multicast", "Nothing to do: this machine is served by unicast."};

// The DHCP server.
inline constexpr ErrorId kNoDhcp{"server.no-dhcp",
                                 "Start the server with --dhcp SUBNET, or `dhcp` in slipway.toml, to give addresses."};
inline constexpr ErrorId kNoLease{"server.no-lease", "See `slipway dhcp leases` for who holds which address."};
inline constexpr ErrorId kNoReservation{"server.no-reservation",
                                        "See `slipway dhcp show` for the reservations; those of --dhcp stand there."};
inline constexpr ErrorId kReserved{"server.reserved",
                                   "Choose another address, or first give it up: `slipway dhcp unreserve ADDRESS`, "
                                   "`slipway dhcp release ADDRESS`."};

// Refusals of the agent channel.
inline constexpr ErrorId kBadToken{
    "server.bad-token",
    "A token is used once, within minutes, and a newer one voids it: boot the machine again, or make a new one."};
inline constexpr ErrorId kClaimedTwice{"server.token-claimed-twice",
                                       "Two machines had one boot script: find out who listens or answers with this "
                                       "MAC address on that network. Both are shut "
                                       "out; the next network boot gets a new token."};
inline constexpr ErrorId kVoidCertificate{
    "server.void-certificate",
    "The token it was got by was shown a second time, so neither is trusted: boot the machine again."};
inline constexpr ErrorId kReplacedCertificate{"server.replaced-certificate",
                                              "Its machine has enrolled again since. If this is no machine that was "
                                              "forgotten, somebody took its boot script: see "
                                              "the alerts of `slipway device show`, and boot it again."};
inline constexpr ErrorId kNetbootIgnored{"server.netboot-ignored",
                                         "See `slipway device show` for what its next network boot does, and why."};
inline constexpr ErrorId kNoCertificate{"server.no-certificate", "Enroll first; the call needs a client certificate."};
inline constexpr ErrorId kUnknownDevice{"server.unknown-device",
                                        "The device was deleted: register it and boot it into the agent again."};
inline constexpr ErrorId kNotControlled{"server.not-controlled",
                                        "Take control of the device before its agent may do anything."};
inline constexpr ErrorId kNotYourTask{"server.not-your-task",
                                      "The device holds no running task that allows this call."};
inline constexpr ErrorId kNoPatchFile{"server.no-patch-file",
                                      "Load it on the server with vmpatch --s PATH, and resume the job."};
inline constexpr ErrorId kBadFrames{"server.bad-frames", "The body is not what docs/architecture.md says of the call."};

// Before a device is booted. The next step names its ids.
inline constexpr ErrorId kNoDriver{"server.no-driver",
                                   "Put a driver into repository/user/PreSystem/modules; see slipway-ramdisk(8)."};
inline constexpr ErrorId kNoRamdisk{"server.no-ramdisk", "See `slipway agent list`."};

// Steps that the server itself carries out.
inline constexpr ErrorId kNeedsDevice{"server.needs-device", "Start the job on a device, or on a group."};
inline constexpr ErrorId kPower{"server.power", "Check the device's power driver; switch the machine by hand.", true};
inline constexpr ErrorId kPowerPrompt{"server.power-prompt",
                                      "The device's power driver is 'prompt': the operator switches the machine."};
inline constexpr ErrorId kScript{"server.script", "See the output in the message, correct the script, resume the job."};
inline constexpr ErrorId kBadProof{
    "server.bad-proof", "Look at the VM and its host's agent; `slipway job resume` begins the first boot again."};
inline constexpr ErrorId kVmTask{"server.vm-task", "See the message of the VM host's agent.", true};

}  // namespace slipway::server::errors
