// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/findings.hpp"

#include <array>

#include <fmt/format.h>

namespace slipway::pxe {

std::string_view name_of(Hop hop) {
    switch (hop) {
        case Hop::Discover: return "discover";
        case Hop::Offer: return "offer";
        case Hop::Address: return "address";
        case Hop::Loader: return "loader";
        case Hop::Script: return "script";
        case Hop::Kernel: return "kernel";
        case Hop::Agent: return "agent";
        case Hop::Tls: return "tls";
        case Hop::Enrolment: return "enrolment";
        case Hop::Ready: return "ready";
    }
    return "?";
}

namespace findings {

const FindingRow kNoDiscover{"netboot.no-discover", Hop::Discover, "No DISCOVER was heard",
                             "Nothing of this machine that asks for a network boot reached the server. Look at the "
                             "machine's screen: does it try the "
                             "network at all? Put the network card first in its boot order and enable its PXE or UEFI "
                             "network stack; see that the "
                             "MAC address of the record is that of the card with the cable; see that the cable is in, "
                             "that its switch port is in the "
                             "server's VLAN and forwards at once (spanning tree: edge port, 'portfast'; a port that "
                             "waits 30 s outlasts most ROMs)."};
const FindingRow kRelayMissing{
    "netboot.relay-missing", Hop::Discover, "No DISCOVER was heard, and the machine's subnet is not ours",
    "The machine was last seen with an address of another subnet. Its DISCOVER is a broadcast, which no router passes "
    "on by "
    "itself: add this server's address to the DHCP relay ('ip helper-address') of the machine's subnet, beside that of "
    "the "
    "DHCP server that is there already. Or give the server an interface in that subnet (--netboot)."};
const FindingRow kUnknownDevice{
    "netboot.unknown-device", Hop::Offer, "No device has this MAC address, so it was not answered",
    "Machines that are not registered are left alone. If this one is meant: `slipway device add NAME --mac MAC`, or "
    "correct "
    "the MAC of its record, then `slipway device take-control NAME`, and switch it off and on."};
const FindingRow kNotControlled{"netboot.not-controlled", Hop::Offer,
                                "The device is not under control, so it was not answered",
                                "The device is registered, and nobody has taken control of it: `slipway device "
                                "take-control NAME`, then switch it off "
                                "and on. A device that was released on purpose boots as if the server were not there."};
const FindingRow kIgnored{
    "netboot.ignored", Hop::Offer, "The server keeps silent to this device as it was told to",
    "The device is under control and its firmware could be served, but what is to be done at its next network boot "
    "says "
    "silence: see `slipway device show NAME` for its boot action and what its jobs wait for, change it, and switch the "
    "machine off and on. The event has the server's own words."};
const FindingRow kNoLoader{"netboot.no-loader", Hop::Offer, "There is no boot program for this machine's architecture",
                           "The firmware says an architecture for which the server has no boot program. Where the "
                           "firmware can do both, switch it "
                           "to another way (UEFI instead of BIOS, PXE instead of HTTP boot, or the other way round); "
                           "otherwise boot it from the "
                           "agent's ISO or USB medium."};
const FindingRow kOtherPxeServer{
    "netboot.other-pxe-server", Hop::Loader, "Another PXE server answered, and the machine went there",
    "Two servers tell the machine what to boot, and it took the other's word. Take this machine (or its subnet) out of "
    "the "
    "other server's configuration, or its 'next-server' and 'filename' (options 66 and 67) away: `dhcp-coexist find` "
    "lists "
    "who answers on a segment, `dhcp-coexist check` what a DHCP server's configuration still says."};
const FindingRow kNoAddress{
    "netboot.no-address", Hop::Address, "No DHCP server gave the machine an address",
    "The server told the machine what to boot, but it gives no addresses beside another DHCP server, and no DHCP "
    "server "
    "offered one that the machine took. See that the DHCP server of the segment runs, has free addresses in its range "
    "and "
    "may serve this MAC (reservations, classes, 'deny unknown-clients'); `dhcp-coexist find` shows who answers. On an "
    "isolated segment without one, let this server give addresses."};
const FindingRow kRelayDropsPxe{
    "netboot.relay-drops-pxe", Hop::Offer, "The relay passes DHCP on, but not our PXE answer",
    "The machine's DISCOVER came through a relay, our answer went back to that relay, and the machine took an address "
    "elsewhere but never came for its boot program. Relays and switches with DHCP snooping drop answers of servers "
    "that "
    "they were not told of: add this server's address to the relay's list and to the trusted servers, and let UDP 67, "
    "69 "
    "and 4011 and the TFTP transfers (any high port of the server) through the router."};
const FindingRow kOfferNotTaken{
    "netboot.offer-not-taken", Hop::Offer, "Our answer did not reach the machine, or it did not want it",
    "The machine took an address, but never came for the boot program that we offered it. The switch may drop answers "
    "from "
    "our port as those of a rogue DHCP server (DHCP snooping: make the port trusted); a firewall may drop UDP 68 or "
    "69, this server's own too (`nft list ruleset`, `iptables -S`: UDP 67, 69 and 4011 have to come in); the "
    "firmware may be set to another kind of network boot (HTTP, IPv6) than the one that was answered."};
const FindingRow kWrongArchitecture{"netboot.wrong-architecture", Hop::Loader,
                                    "The machine fetched a boot program of another architecture",
                                    "The firmware's architecture (option 93) and the file that it asked for do not "
                                    "belong together: somebody else names one "
                                    "file for all. Take the fixed boot file (option 67, 'filename', 'dhcp-boot') out "
                                    "of the DHCP server's configuration, so "
                                    "that this server chooses by architecture; `dhcp-coexist check` finds it."};
const FindingRow kFileNotFound{"netboot.file-not-found", Hop::Loader, "A file that the machine asked for is not there",
                               "See the name in the event. The kernel or a ramdisk: `slipway agent build` makes "
                               "it again; a boot program: Debian's "
                               "package ipxe is to be installed on the server; a name that is not ours comes from "
                               "somebody else's option 67, or from a "
                               "script of your own."};
const FindingRow kStalled{"netboot.transfer-stalled", Hop::Loader, "A transfer stopped in the middle",
                          "The first bytes went through and then nothing was acknowledged any more. Always near the "
                          "same byte: something on the "
                          "way cuts it (a firewall that forgets the UDP session, an MTU smaller than the blocks, a "
                          "full memory of the firmware: "
                          "try a smaller ramdisk). At another byte each time: the machine was switched off, or cable "
                          "and port are bad: look at "
                          "the error counters of the switch port."};
const FindingRow kLink{"netboot.link", Hop::Loader, "The link loses packets: speed or duplex is set wrongly on an end",
                       "Many blocks had to be sent again although the transfer moved on. That is how a duplex mismatch "
                       "looks: one end set by "
                       "hand (100/full), the other by negotiation (which then falls back to half). Set both ends to "
                       "negotiate, at the server's "
                       "card (`ethtool IF`), at the switch ports and in the machine's firmware; then look for late "
                       "collisions and CRC errors "
                       "on the switch port, and change the cable."};
const FindingRow kSecureBoot{"netboot.secure-boot", Hop::Loader,
                             "The firmware fetched its boot program and did not start it: Secure Boot",
                             "A UEFI firmware that reads a boot program to its end and then asks from the beginning, "
                             "or goes silent, has most often "
                             "refused its signature. Serve it the signed chain (shim), or switch Secure Boot off in "
                             "the firmware's setup. The screen "
                             "says 'Access Denied', 'Security Violation' or 'Bad shim signature' for a moment."};
const FindingRow kLoaderDied{"netboot.loader-did-not-start", Hop::Script,
                             "The boot program was fetched, and nothing was heard of it",
                             "The firmware has iPXE and it did not ask for an address of its own. Its driver may not "
                             "get along with this card's UNDI "
                             "(newer firmware of card or machine often helps), or the switch port was down while iPXE "
                             "started the card again (edge "
                             "port, 'portfast'). Look at the screen: it says how far iPXE came."};
const FindingRow kNoScript{
    "netboot.script-not-fetched", Hop::Script, "iPXE was told where its script is, and did not fetch it",
    "iPXE runs and has its answer, but no request for the script came. The boot HTTP port (8480, TCP) of the server "
    "must be "
    "open to the machine's subnet: look at the server's firewall and at routers between, and whether the machine got a "
    "default route when it is in another subnet. iPXE's screen shows the error with a link."};
const FindingRow kNoKernel{"netboot.kernel-not-fetched", Hop::Kernel, "The boot script was fetched, the kernel was not",
                           "iPXE has its script and asked for no kernel, or stopped before it had kernel and ramdisk. "
                           "Its screen shows why; a very "
                           "old iPXE (before 2012) in a card's ROM does not understand the script: let the card's ROM "
                           "be flashed, or start the "
                           "agent from its ISO or USB medium."};
const FindingRow kNoDriver{
    "netboot.no-driver", Hop::Agent, "The kernel started, and its network card was not heard: a driver is missing",
    "Kernel and ramdisk were fetched whole, and then nothing came from this card, not even a request for an address. "
    "The "
    "ramdisk has no driver (or no firmware file) for it, or the kernel did not start: see the machine's screen. Build "
    "a "
    "ramdisk for it from its inventory (`slipway-ramdisk build --inventory`), with a kernel that knows the ids named."};
const FindingRow kNoAgent{"netboot.no-agent", Hop::Agent,
                          "The kernel's network works, but the agent did not reach the server",
                          "The ramdisk asked for an address, so kernel and driver are right, but no agent came to the "
                          "server's port. See that the "
                          "DHCP server answers a second request of the same machine, that TCP 8443 of the server is "
                          "open to its subnet, and that "
                          "the address in the boot script (slipway.server=) is one that the machine can reach. The "
                          "machine's screen says what the "
                          "agent waits for."};
const FindingRow kClock{"netboot.clock", Hop::Tls,
                        "The machine's clock is wrong: the server's certificate is not valid on its day",
                        "The agent refuses the server's certificate because it is not valid yet, or no more, by its "
                        "own clock. The boot script "
                        "sets the clock, so the script was old (a copy of it, a cached one) or the server's own clock "
                        "is wrong: see `date` on the server, and "
                        "that it is synchronised; set the machine's clock in its firmware and replace its battery."};
const FindingRow kOtherCa{
    "netboot.other-ca", Hop::Tls, "The ramdisk trusts another server's CA",
    "The agent does not know the authority that signed this server's certificate: its ramdisk was built for another "
    "server, "
    "or before this server's state directory was made anew. Build the ramdisk again with this server's CA "
    "(`slipway-ramdisk build --ca STATE/pki/ca.pem`)."};
const FindingRow kTls{
    "netboot.tls", Hop::Tls, "The agent came, and no TLS connection was made",
    "Something between the machine and the server speaks in its place (a proxy, a firewall that looks into "
    "TLS), or the agent is of a version that this server does not talk to. The event has the reason; TLS 1.3 "
    "must pass unchanged from the machine to TCP 8443."};
const FindingRow kToken{
    "netboot.token", Hop::Enrolment, "The agent's token was refused",
    "A token comes with each boot script, is used once and lives for minutes, and a newer script voids it. The machine "
    "booted an old script, took longer from script to agent than the token lives, or somebody else fetched a script "
    "for "
    "this MAC in between (then an address in the events is not the machine's). Switch it off and on: it gets a new "
    "one."};

}  // namespace findings

namespace {

using namespace findings;
constexpr std::array kAll = std::to_array<const FindingRow*>(
    {&kNoDiscover, &kRelayMissing,  &kUnknownDevice, &kNotControlled,     &kIgnored,      &kNoLoader, &kOtherPxeServer,
     &kNoAddress,  &kRelayDropsPxe, &kOfferNotTaken, &kWrongArchitecture, &kFileNotFound, &kStalled,  &kLink,
     &kSecureBoot, &kLoaderDied,    &kNoScript,      &kNoKernel,          &kNoDriver,     &kNoAgent,  &kClock,
     &kOtherCa,    &kTls,           &kToken});

}  // namespace

std::span<const FindingRow* const> all_findings() { return kAll; }

std::string findings_page() {
    std::string out =
        "# What `slipway netboot explain` finds\n\n"
        "One finding for each hop that can fail, in the order of a boot, by what was heard of the machine and sent to "
        "it.\n"
        "This page is made of the program's own table (`pxe/findings.cpp`).\n";
    for (const auto* row : kAll)
        out += fmt::format("\n## `{}`\n**{}** (hop: {}).\n{}\n", row->id, row->title, name_of(row->hop), row->advice);
    return out;
}

}  // namespace slipway::pxe
