// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/template.hpp"

#include <algorithm>

#include "guest-fixup/first_boot.hpp"
#include "guest-fixup/forget.hpp"
#include "guest-fixup/personality_edits.hpp"
#include "guest-fixup/steps.hpp"
#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

// clang-format off
constexpr TemplateRow kRows[] = {
    {"random seed",          "/var/lib/systemd",               "random-seed"},
    {"random seed",          "/var/lib/systemd",               "credential.secret"},
    {"random seed",          "/var/lib",                       "random-seed"},
    {"random seed",          "/var/lib/urandom",               "random-seed"},
    {"random seed",          "/var/lib/seedrng",               "seed.*"},
    {"random seed",          "/boot/loader",                   "random-seed"},
    {"random seed",          "/boot/efi/loader",               "random-seed"},
    {"random seed",          "/efi/loader",                    "random-seed"},
    {"DHCP lease",           "/var/lib",                       "dhcp", Clearing::RemoveBelow},
    {"DHCP lease",           "/var/lib",                       "dhcpcd", Clearing::RemoveBelow},
    {"DHCP lease",           "/var/lib",                       "dhclient", Clearing::RemoveBelow},
    {"DHCP lease",           "/var/lib/udhcpc",                "*"},
    {"DHCP lease",           "/var/lib/wicked",                "*"},
    {"DHCP identity",        "/etc",                           "dhcpcd.duid"},
    {"DHCP identity",        "/etc/dhcp",                      "dhclient6.leases"},
    {"NetworkManager state", "/var/lib/NetworkManager",        "*.lease"},
    {"NetworkManager state", "/var/lib/NetworkManager",        "secret_key"},
    {"NetworkManager state", "/var/lib/NetworkManager",        "seen-bssids"},
    {"NetworkManager state", "/var/lib/NetworkManager",        "timestamps"},
    {"names of its cards",   "/etc/udev/rules.d",              "70-persistent-net.rules"},
    {"names of its cards",   "/etc/udev/rules.d",              "*-persistent-cd.rules"},
    {"names of its cards",   "/etc/systemd/network",           "10-slipway-*.link"},
    {"cloud-init state",     "/var/lib/cloud",                 "instance"},
    {"cloud-init state",     "/var/lib/cloud",                 "instances", Clearing::RemoveBelow},
    {"cloud-init state",     "/var/lib/cloud",                 "data", Clearing::RemoveBelow},
    {"cloud-init state",     "/var/lib/cloud",                 "sem", Clearing::RemoveBelow},
    {"package cache",        "/var/cache/apt/archives",        "*.deb"},
    {"package cache",        "/var/cache/apt",                 "*.bin"},
    {"package cache",        "/var/lib/apt",                   "lists", Clearing::RemoveBelow},
    {"package cache",        "/var/cache",                     "dnf", Clearing::RemoveBelow},
    {"package cache",        "/var/cache",                     "yum", Clearing::RemoveBelow},
    {"package cache",        "/var/cache",                     "zypp", Clearing::RemoveBelow},
    {"package cache",        "/var/cache/apk",                 "*"},
    {"package cache",        "/var/cache/pacman",              "pkg", Clearing::RemoveBelow},
    {"subscription",         "/etc/sysconfig/rhn",             "systemid"},
    {"subscription",         "/etc/pki",                       "consumer", Clearing::RemoveBelow},
    {"subscription",         "/etc/pki",                       "entitlement", Clearing::RemoveBelow},
    {"subscription",         "/etc/zypp/credentials.d",        "SCCcredentials"},
    {"crash dump",           "/var",                           "crash", Clearing::RemoveBelow},
    {"crash dump",           "/var/lib/systemd",               "coredump", Clearing::RemoveBelow},
    {"temporary file",       "/",                              "tmp", Clearing::RemoveBelow},
    {"temporary file",       "/var",                           "tmp", Clearing::RemoveBelow},
    {"first-boot state",     "/var/lib/slipway",               "first-boot", Clearing::RemoveBelow},
    {"first-boot state",     "/var/log",                       "slipway-first-boot.log"},
    {"history",              "~",                              ".bash_history"},
    {"history",              "~",                              ".ash_history"},
    {"history",              "~",                              ".zsh_history"},
    {"history",              "~",                              ".sh_history"},
    {"history",              "~",                              ".python_history"},
    {"history",              "~",                              ".mysql_history"},
    {"history",              "~",                              ".psql_history"},
    {"history",              "~",                              ".rediscli_history"},
    {"history",              "~",                              ".lesshst"},
    {"history",              "~",                              ".viminfo"},
    {"history",              "~",                              ".wget-hsts"},
};
// clang-format on

Status clear(Guest& guest, const TemplateRow& row, const std::string& directory) {
    const std::string what = "template: " + std::string(row.what);
    for (const auto& path : matching(guest, directory, row.pattern)) {
        if (row.clearing == Clearing::RemoveBelow) {
            for (const auto& file : files_below(guest, path))
                if (!guest.wants(file)) TRY(forget(guest, what, file));
        } else if (guest.wants(path)) continue;
        else if (row.clearing == Clearing::Empty) TRY(forget_content(guest, what, path));
        else TRY(forget(guest, what, path));
    }
    return {};
}

Status clear_logs(Guest& guest) {
    for (const auto& file : files_below(guest, "/var/log")) {
        // journald refuses a journal of another machine-id and an empty one alike.
        const bool goes = rotated(file.substr(file.rfind('/') + 1)) || file.starts_with("/var/log/journal/");
        TRY(goes ? forget(guest, "template: log", file) : forget_content(guest, "template: log", file));
    }
    return {};
}

Status free_from_cards(Guest& guest) {
    for (const char* directory : {"/etc/sysconfig/network-scripts", "/etc/NetworkManager/system-connections"})
        for (const auto& path : matching(guest, directory, "*")) {
            const bool ifcfg = path.find("/ifcfg-") != std::string::npos;
            if ((!ifcfg && !std::string_view(directory).ends_with("connections")) || guest.wants(path)) continue;
            const auto text = guest.read(path, 1u << 20);
            if (!text || !*text) continue;
            // A connection may hold the key of a wireless network.
            TRY(ifcfg ? guest.write("template: bound to no card", path, without_card(**text))
                      : write_private(guest, "template: bound to no card", path, without_card(**text)));
        }
    return {};
}

// open-iscsi's own start makes a name where this stands; Red Hat's makes a missing one.
Status new_initiator(Guest& guest) {
    constexpr const char* kInitiator = "/etc/iscsi/initiatorname.iscsi";
    if (!guest.exists(kInitiator)) return {};
    if (guest.exists("/etc/debian_version"))
        return guest.write("template: iSCSI name", kInitiator, "GenerateName=yes\n");
    return guest.remove("template: iSCSI name", kInitiator);
}

// What only a person, or the domain, can take back.
void warn_of_the_rest(Repair& repair, const std::vector<Account>& accounts) {
    const auto& guest = repair.guest;
    struct Rest {
        const char *path, *text;
    };
    for (const auto& rest :
         {Rest{"/etc/krb5.keytab",
               "it has a Kerberos keytab: take it out of its domain before it is captured, or its clones share one "
               "account there"},
          Rest{"/var/lib/sss/secrets/secrets.ldb", "SSSD's store of secrets is in the template"},
          Rest{"/var/lib/samba/private/secrets.tdb",
               "it is joined to a domain by Samba: take it out before it is captured"},
          Rest{"/etc/nvme/hostnqn",
               "/etc/nvme/hostnqn names this machine: clones that use NVMe over fabrics need their own"},
          Rest{"/etc/puppetlabs/puppet/ssl", "Puppet's certificate is in the template"},
          Rest{"/etc/salt/pki/minion/minion.pem", "Salt's key is in the template"}})
        if (guest.exists(rest.path)) repair.warn(std::string(rest.text));
    if (!matching(guest, "/var/lib/sss/db", "*.ldb").empty())
        repair.warn("SSSD's cache of accounts is in the template");
    for (const auto& account : accounts) {
        if (guest.exists(account.home + "/.ssh/authorized_keys"))
            repair.warn(fmt::format("who may log in as {} may log in to every clone: {}/.ssh/authorized_keys",
                                    account.name, account.home));
        if (!matching(guest, account.home + "/.ssh", "id_*").empty())
            repair.warn(fmt::format("private keys of {} are in the template: {}/.ssh", account.name, account.home));
    }
}

}  // namespace

std::span<const TemplateRow> template_rows() { return kRows; }

bool rotated(std::string_view name) {
    for (std::string_view end : {".gz", ".xz", ".bz2", ".zst", ".old"})
        if (name.ends_with(end)) return true;
    // "messages.1", "messages-20260101"
    const auto mark = name.find_last_of(".-");
    if (mark == std::string_view::npos || mark == 0) return false;
    const auto tail = name.substr(mark + 1);
    const bool digits = !tail.empty() && tail.find_first_not_of("0123456789") == std::string_view::npos;
    return digits && (name[mark] == '.' ? tail.size() <= 3 : tail.size() == 8);
}

std::string without_card(std::string_view text) {
    std::string out;
    map_lines(text, [&](std::string_view line) {
        const auto key = to_lower(trim(line.substr(0, std::min(line.find('='), line.size()))));
        const bool bound = line.find('=') != std::string_view::npos &&
                           (key == "hwaddr" || key == "uuid" || key == "mac-address" || key == "macaddr");
        if (!bound) out += fmt::format("{}\n", line);
        return std::string();
    });
    if (!text.ends_with('\n') && out.ends_with('\n')) out.pop_back();
    return out;
}

Status prepare_template(Repair& repair) {
    if (repair.request.prepare_template == Template::No) return {};
    auto& guest = repair.guest;
    repair.note("template");
    const Forgetting forgetting(guest);  // who it was
    const auto accounts = parse_passwd(TRY(guest.read("/etc/passwd")).value_or(""));
    warn_of_the_rest(repair, accounts);
    for (const auto& row : template_rows()) {
        if (row.directory != "~") TRY(clear(guest, row, std::string(row.directory)));
        else
            for (const auto& account : accounts)
                if (account.home.size() > 1) TRY(clear(guest, row, account.home));
    }
    TRY(clear_logs(guest));
    TRY(free_from_cards(guest));
    TRY(new_initiator(guest));
    TRY(new_host_keys(repair));
    const bool given = guest.wants("/etc/machine-id") || guest.wants("/var/lib/dbus/machine-id");
    return given ? Status() : set_machine_id(repair, MachineId::New, "");
}

Status forget_first_boot(Repair& repair) {
    if (repair.request.prepare_template == Template::No) return {};
    for (const char* directory : {"done", "begun"})
        for (const auto& marker : files_below(repair.guest, fmt::format("{}/{}", kFirstBoot, directory)))
            TRY(forget(repair.guest, "template: first-boot state", marker));
    return {};
}

}  // namespace slipway::fixup
