// SPDX-License-Identifier: GPL-3.0-or-later
// dhcp-coexist: what another DHCP server needs so that network boot works beside it, and who else answers on a segment.
#include <cerrno>
#include <cstdio>
#include <functional>
#include <set>

#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "dhcp-helper/coexist.hpp"
#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/finder.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "slipway_version.hpp"

using namespace slipway;
using namespace slipway::dhcp;
namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr const char* kUsualPlaces[] = {"/etc/dhcp/dhcpd.conf", "/etc/kea/kea-dhcp4.conf", "/etc/dnsmasq.conf"};

struct Arguments {
    std::string file, kind, where = "same-host", interface;
    std::vector<std::string> expected;
    double seconds = 4;
    bool as_json = false;
};

struct Config {
    fs::path path;
    coexist::Kind kind;
    std::string text;
};

Result<Config> open_config(const Arguments& a) {
    std::vector<fs::path> paths;
    if (!a.file.empty()) paths.emplace_back(a.file);
    else
        for (fs::path usual : kUsualPlaces)
            if (fs::exists(usual)) paths.push_back(usual);
    if (paths.empty()) return make_error(dhcp::errors::kWhichConfig, "no configuration is in its usual place");
    if (paths.size() > 1)
        return make_error(dhcp::errors::kWhichConfig, "there are {} and {}", paths[0].string(), paths[1].string());
    std::error_code error;
    auto real = fs::canonical(paths[0], error);  // a link stays one
    if (error) return make_error(dhcp::errors::kWhichConfig, "{}: {}", paths[0].string(), error.message());
    if (!fs::is_regular_file(real)) return make_error(dhcp::errors::kWhichConfig, "{} is no file", real.string());
    auto text = TRY(read_text_file(real, coexist::kLargestConfig));
    auto kind = a.kind.empty() ? coexist::kind_of(real, text) : coexist::kind_named(a.kind);
    if (!kind) return make_error(dhcp::errors::kWhichConfig, "{} tells nothing of its kind", real.string());
    return Config{std::move(real), *kind, std::move(text)};
}

// As write_file_atomic, with owner and mode of what was there: Kea reads its file as a user of its own.
Status write_like(const fs::path& path, const fs::path& like, std::string_view text) {
    struct stat was {};
    if (::stat(like.c_str(), &was) != 0) return errno_error(errno, like.string());
    auto temp = path.string() + ".XXXXXX";
    UniqueFd fd(::mkostemp(temp.data(), O_CLOEXEC));
    if (!fd.valid()) return errno_error(errno, path.string());
    auto done = [&]() -> Status {
        if (::fchown(fd.get(), was.st_uid, was.st_gid) != 0 || ::fchmod(fd.get(), was.st_mode & 07777) != 0)
            return errno_error(errno, temp);
        TRY(write_full(fd.get(), as_bytes(text)));
        TRY(fsync_fd(fd.get(), temp));
        TRY(fd.close());
        if (::rename(temp.c_str(), path.c_str()) != 0) return errno_error(errno, path.string());
        return fsync_directory(path.parent_path());
    }();
    if (!done.ok()) ::unlink(temp.c_str());
    return done;
}

Result<ExitCode> show(const Arguments& a) {
    if (a.where == "other-host") {
        std::printf(
            "# A proxyDHCP service on another machine needs nothing here: it hears each client itself.\n"
            "# But where machines with Secure Boot on, or not known to be off, boot by UEFI PXE: their GRUB asks\n"
            "# the next-server that this DHCP server names, so that has to be our server (with its address in\n"
            "# place of 10.99.0.1), without a boot file beside it:\n");
        for (auto kind : {coexist::Kind::Isc, coexist::Kind::Kea, coexist::Kind::Dnsmasq})
            if (a.kind.empty() || a.kind == coexist::name_of(kind))
                std::printf("#   %-8s %s\n", std::string(coexist::name_of(kind)).c_str(),
                            coexist::next_server_line(kind, "10.99.0.1").c_str());
        return kExitDone;
    }
    std::optional<coexist::Kind> kind = coexist::kind_named(a.kind);
    if (!kind) kind = TRY(open_config(a)).kind;
    std::printf("%s", coexist::fragment(*kind).c_str());
    return kExitDone;
}

Result<ExitCode> change(const Arguments& a, bool adding) {
    auto config = TRY(open_config(a));
    auto name = config.path.string();
    auto edit = adding ? coexist::add : coexist::remove;
    auto text = TRY_WITH(edit(config.kind, config.text), name);
    if (text == config.text) {
        std::printf("%s: nothing to do\n", name.c_str());
        return kExitDone;
    }
    auto backup = name + ".before-slipway";
    if (adding) TRY_WITH(write_like(backup, config.path, config.text), "keeping a copy");
    TRY_WITH(write_like(config.path, config.path, text), name);
    if (adding) std::printf("%s: added; the file as it was is %s\n", name.c_str(), backup.c_str());
    else std::printf("%s: removed\n", name.c_str());
    std::printf("Restart that server for it to take effect.\n");
    return kExitDone;
}

Result<ExitCode> check(const Arguments& a) {
    auto config = TRY(open_config(a));
    auto findings = TRY_WITH(coexist::check(config.kind, config.text, a.where == "same-host"), config.path.string());
    json::array items;
    bool trouble = false;
    for (const auto& f : findings) {
        trouble = trouble || f.trouble;
        items.push_back({{"id", f.id}, {"line", f.line}, {"text", f.text}, {"trouble", f.trouble}});
        if (a.as_json) continue;
        auto place = f.line ? fmt::format("{}:{}", config.path.string(), f.line) : config.path.string();
        std::printf("%s: %s [%s]\n", place.c_str(), f.text.c_str(), f.id.c_str());
    }
    if (a.as_json)
        std::printf("%s\n", json::serialize(json::object{{"file", config.path.string()},
                                                         {"kind", coexist::name_of(config.kind)},
                                                         {"findings", std::move(items)}})
                                .c_str());
    else if (findings.empty()) std::printf("%s: nothing is in the way\n", config.path.c_str());
    return trouble ? kExitWarnings : kExitDone;
}

json::object as_json(const FoundServer& f) {
    json::array options;
    for (auto code : f.options) options.push_back(code);
    return {{"kind", f.kind()},
            {"address", f.address.text()},
            {"mac", f.mac.text()},
            {"server", f.server_id.text()},
            {"offered", f.offered.text()},
            {"next_server", f.next_server.text()},
            {"relay", f.relay.text()},
            {"asked_as_pxe", f.asked_as_pxe},
            {"pxe", f.pxe},
            {"file", printable(f.boot_file)},
            {"options", std::move(options)}};
}

std::set<Ipv4Address> addresses_here() {
    std::set<Ipv4Address> out;
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return out;
    for (auto* i = all; i; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET)
            out.insert({ntohl(reinterpret_cast<const sockaddr_in*>(i->ifa_addr)->sin_addr.s_addr)});
    ::freeifaddrs(all);
    return out;
}

Result<ExitCode> find(const Arguments& a) {
    std::set<Ipv4Address> expected;
    const auto own = addresses_here();
    for (const auto& text : a.expected) {
        auto address = Ipv4Address::parse(text);
        if (!address) return make_error(dhcp::errors::kWhichConfig, "--expect '{}' is no address", printable(text));
        expected.insert(*address);
    }
    auto found = TRY(find_servers(a.interface, std::chrono::milliseconds(static_cast<long>(a.seconds * 1000))));
    json::array items;
    for (const auto& f : found) {
        const bool ours = own.contains(f.address) || own.contains(f.server_id);
        auto item = as_json(f);
        item["this_machine"] = ours;
        items.push_back(std::move(item));
        if (!a.as_json)
            std::printf("%-13s %-15s %s asked as %-6s offers %s%s%s%s\n", f.kind(), f.server_id.text().c_str(),
                        f.mac.text().c_str(), f.asked_as_pxe ? "PXE" : "client",
                        f.offered.is_zero() ? "no address" : f.offered.text().c_str(),
                        f.boot_file.empty() ? "" : ", boot file ", printable(f.boot_file).c_str(),
                        ours ? ", this machine's own" : "");
    }
    if (a.as_json)
        std::printf("%s\n",
                    json::serialize(json::object{{"interface", a.interface}, {"servers", std::move(items)}}).c_str());
    else if (found.empty()) std::printf("no DHCP or proxyDHCP server answers on %s\n", a.interface.c_str());
    auto judged = judge(found, expected, own);
    if (!expected.empty()) return judged.unexpected.empty() ? kExitDone : kExitWarnings;
    return judged.doubled ? kExitWarnings : kExitDone;
}

void add_commands(CLI::App& app, Arguments& a, std::function<Result<ExitCode>()>& chosen) {
    auto command = [&](const char* name, const char* what, std::function<Result<ExitCode>()> run) {
        auto* c = app.add_subcommand(name, what);
        c->callback([&chosen, run = std::move(run)] { chosen = run; });
        return c;
    };
    auto of_file = [&](CLI::App* c) {
        c->add_option("file", a.file, "Its configuration; else what is in its usual place");
        c->add_option("--kind", a.kind, "isc, kea or dnsmasq; else seen by the file")
            ->check(CLI::IsMember({"isc", "kea", "dnsmasq"}));
        return c;
    };
    auto of_place = [&](CLI::App* c) {
        c->add_option("--service", a.where, "Where our service runs: same-host (default) or other-host")
            ->check(CLI::IsMember({"same-host", "other-host"}));
        return c;
    };
    of_place(of_file(command("show", "Print what the DHCP server needs (also: display)", [&] { return show(a); })));
    of_place(of_file(command("display", "As show", [&] { return show(a); })))->group("");
    of_file(
        command("add", "Write it into the configuration; keeps FILE.before-slipway", [&] { return change(a, true); }));
    of_file(command("remove", "Take it out again, to the last byte", [&] { return change(a, false); }));
    auto* c = of_place(of_file(command("check", "Name what is in the way of network boot", [&] { return check(a); })));
    c->add_flag("--json", a.as_json, "Print JSON");
    auto* f = command("find", "Which DHCP and PXE servers answer on an interface? Takes no lease; as root",
                      [&] { return find(a); });
    f->add_option("interface", a.interface, "Network interface to ask on")->required();
    f->add_option("--seconds", a.seconds, "How long to wait for answers")->check(CLI::Range(0.1, 60.0));
    f->add_option("--expect", a.expected,
                  "A server that may answer (again for more); any other one but this machine's is exit code 3");
    f->add_flag("--json", a.as_json, "Print JSON");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Network boot beside another DHCP server: what it needs, and who answers on a segment.\n\n"
        "Exit codes: 0 done; 1 failed; 2 usage; 3 check: something is in the way; find: two servers offer the "
        "same, or one is not expected.",
        "dhcp-coexist");
    app.footer(
        "Examples:\n  dhcp-coexist show --kind kea\n  dhcp-coexist add /etc/dhcp/dhcpd.conf\n"
        "  dhcp-coexist remove /etc/dhcp/dhcpd.conf\n  dhcp-coexist check --service other-host --json\n"
        "  dhcp-coexist find eth0\n  dhcp-coexist find --seconds 10 --expect 10.0.0.1 --json br0\n");
    app.require_subcommand(1);
    app.set_version_flag("--version", kVersion);
    Arguments a;
    std::function<Result<ExitCode>()> chosen;
    add_commands(app, a, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? kExitDone : kExitUsage;
    }
    auto done = chosen();
    if (done.ok()) return *done;
    std::fprintf(stderr, "error: %s\n", done.error().explain().c_str());
    return kExitFailed;
}
