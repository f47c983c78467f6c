// SPDX-License-Identifier: GPL-3.0-or-later
// Which client boots what: pure. A proxyDHCP server gives no addresses; it adds a boot file to what the DHCP server
// beside it says.
//
//   a boot ROM asks   -> the first loader of its chain (loaders.hpp), by TFTP (HTTPClient: by HTTP)
//   iPXE asks         -> the URL of its boot script (docs/booting.md)
//   anyone whom the decision ignores, or for whom we have nothing -> silence, with the reason
#pragma once

#include <optional>
#include <string>

#include "dhcp-helper/codec.hpp"
#include "lib/base/net.hpp"
#include "lib/base/uuid.hpp"
#include "pxe/image.hpp"
#include "pxe/loaders.hpp"
#include "pxe/quirks.hpp"
#include "pxe/wire.hpp"

namespace slipway::pxe {

struct ClientFacts {
    MacAddress mac;
    std::optional<Uuid> guid;  // SMBIOS system UUID
    std::optional<Arch> arch;
    bool pxe = false, http = false;  // by its vendor class
    bool ipxe = false;
    std::string vendor_class;

    bool is_boot_client() const { return pxe || http || ipxe; }
};
ClientFacts facts_of(const dhcp::Message& request);

// The four answers of a device (its PXE action).
enum class Action {
    Ignore,     // silence
    LocalDisk,  // answered, so that it need not wait, with a script that leaves to its disk
    Agent,      // boot-to-da
    Image,      // a floppy or ISO image
};
inline constexpr std::array<std::string_view, 4> kActionNames{"ignore", "local-disk", "boot-to-da", "image"};
std::string_view name_of(Action action);
std::optional<Action> action_from(std::string_view name);

// What is known and wanted of a device when it asks.
struct Decision {
    Action action = Action::Ignore;
    std::string why;  // of an Ignore, for the log
    SecureBoot secure_boot = SecureBoot::Unknown;
    std::string loader{kAuto};
    ImageKind image = ImageKind::Iso;  // with Action::Image

    Decision() = default;
    Decision(Action a, std::string reason = {}) : action(a), why(std::move(reason)) {}
};

struct BootServer {
    Ipv4Address address;          // ours, on the client's side
    std::uint16_t http_port = 0;  // 0: no HTTP, scripts by TFTP
};

struct Answer {
    std::string vendor_class;  // echoed class: PXEClient or HTTPClient
    std::string file;          // a TFTP path or a URL
    bool uri = false;          // belongs in option 67 for HTTPClient
    std::string loader;        // the loader it names, to be looked for; empty: a script
    bool operator==(const Answer&) const = default;
};

struct Choice {
    std::optional<Answer> answer;  // nothing: silence
    std::string why;               // for the log
    std::optional<Error> refusal;  // why there is silence
};
Choice choose_boot(const ClientFacts& client, const Decision& decision, const BootServer& server);
Choice refuse(Error error);

// The OFFER (or, on the boot server port, the ACK) that carries an answer. Nothing for a message that a proxyDHCP
// server leaves alone: on port 67 it answers DISCOVER only, on 4011 REQUEST and INFORM.
std::optional<dhcp::Message> make_reply(const dhcp::Message& request, bool boot_server_port, const Answer& answer,
                                        const BootServer& server);

// "http://10.99.0.1:8480/boot/script?mac=52:54:00:51:00:01", or a TFTP path when there is no HTTP.
std::string script_location(const MacAddress& mac, const BootServer& server);

}  // namespace slipway::pxe
