// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/coexist.hpp"

#include <algorithm>
#include <array>

#include "dhcp-helper/coexist_scan.hpp"
#include "dhcp-helper/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::dhcp::coexist {

namespace {

constexpr std::string_view kBegin = "BEGIN slipway network boot", kEnd = "END slipway network boot";
constexpr std::string_view kJoined = ", behind a line that had no end";  // the line end before the mark is ours

struct Words {
    Kind kind;
    std::string_view name;
    std::string_view body;
    std::string_view next_server;
};
constexpr std::array kWords = std::to_array<Words>({
    {Kind::Isc, "isc",
     "class \"slipway-netboot\" {\n"
     "  match if substring (option vendor-class-identifier, 0, 9) = \"PXEClient\";\n"
     "  option vendor-class-identifier \"PXEClient\";\n"
     "}\n",
     "next-server {};"},
    {Kind::Kea, "kea",
     "{ \"name\": \"slipway-netboot\",\n"
     "  \"test\": \"substring(option[60].hex,0,9) == 'PXEClient'\",\n"
     "  \"option-data\": [ { \"name\": \"vendor-class-identifier\", \"data\": \"PXEClient\", \"always-send\": true } ] "
     "}\n",
     "\"next-server\": \"{}\","},
    {Kind::Dnsmasq, "dnsmasq",
     "dhcp-vendorclass=set:slipway-netboot,PXEClient\n"
     "dhcp-option-force=tag:slipway-netboot,60,PXEClient\n",
     "dhcp-boot=,,{}"},
});

const Words& words_of(Kind kind) {
    return *std::find_if(kWords.begin(), kWords.end(), [&](const Words& w) { return w.kind == kind; });
}

std::string with_line_ends_of(std::string text, std::string_view like) {
    if (like.find("\r\n") == like.npos) return text;
    std::string out;
    for (char c : text) out += c == '\n' ? std::string("\r\n") : std::string(1, c);
    return out;
}

// Where our part is: [first, second).
using Part = std::pair<std::size_t, std::size_t>;

Error marks(std::string_view what) {
    return make_error(errors::kForeignConfig, "{} of '{}' and '{}'", what, kBegin, kEnd);
}

Result<std::optional<Part>> find_part(Kind kind, std::string_view text) {
    std::string open = kind == Kind::Kea ? "/* " : "# ", close = open;
    auto begin = text.find(open + std::string(kBegin)), end = text.find(close + std::string(kEnd));
    if (begin == text.npos && end == text.npos) return std::optional<Part>();
    if (begin == text.npos || end == text.npos || end < begin) return marks("only one, or the wrong order,");
    if (text.find(kBegin, begin + open.size() + 1) != text.npos || text.find(kEnd, end + close.size() + 1) != text.npos)
        return marks("more than one pair");
    auto stop = end + close.size() + kEnd.size();
    if (kind == Kind::Kea) {
        if (!text.substr(stop).starts_with(" */")) return marks("a changed one");
        return std::optional(Part(begin, stop + 3));
    }
    if ((begin && text[begin - 1] != '\n')) return marks("a moved one");
    auto joined = text.substr(begin + open.size() + kBegin.size()).starts_with(kJoined);
    if (joined && begin) begin -= begin >= 2 && text[begin - 2] == '\r' ? 2 : 1;
    if (text.substr(stop).starts_with("\r")) ++stop;
    if (text.substr(stop).starts_with("\n")) ++stop;
    else if (stop != text.size()) return marks("a changed one");
    return std::optional(Part(begin, stop));
}

std::string kea_part(const Scan& scan) {
    std::string body(words_of(Kind::Kea).body);
    if (!scan.has_classes) body = "\"client-classes\": [\n" + body + "]" + (scan.first ? "" : ",") + "\n";
    else if (!scan.first && !scan.after_comma) body = "\n, " + body;
    return fmt::format("/* {} */ {}/* {} */", kBegin, body, kEnd);
}

Result<std::string> add_to(Kind kind, std::string_view text, const Scan& scan) {
    std::string out(text);
    if (kind == Kind::Kea) {
        out.insert(scan.insert_at, with_line_ends_of(kea_part(scan), text));
        return out;
    }
    bool joined = !text.empty() && text.back() != '\n';
    out += with_line_ends_of(
        fmt::format("{}# {}{}\n{}# {}\n", joined ? "\n" : "", kBegin, joined ? kJoined : "", words_of(kind).body, kEnd),
        text);
    return out;
}

}  // namespace

std::string_view name_of(Kind kind) { return words_of(kind).name; }

std::optional<Kind> kind_named(std::string_view name) {
    for (const auto& w : kWords)
        if (w.name == name) return w.kind;
    return std::nullopt;
}

std::optional<Kind> kind_of(const std::filesystem::path& path, std::string_view text) {
    if (text.find("\"Dhcp4\"") != text.npos) return Kind::Kea;
    for (const auto& line : split(text.substr(0, kLargestConfig), '\n')) {
        auto t = trim(line);
        if (t.starts_with("dhcp-range=") || t.starts_with("dhcp-option=")) return Kind::Dnsmasq;
        if (t.starts_with("subnet ") || t.starts_with("shared-network ") || t.starts_with("default-lease-time "))
            return Kind::Isc;
    }
    auto name = path.filename().string();
    if (name.find("dnsmasq") != name.npos) return Kind::Dnsmasq;
    if (name.find("kea") != name.npos) return Kind::Kea;
    if (name.find("dhcpd") != name.npos) return Kind::Isc;
    return std::nullopt;
}

std::string fragment(Kind kind) {
    std::string_view open = kind == Kind::Kea ? "/* " : "# ", close = kind == Kind::Kea ? " */" : "";
    return fmt::format("{}{}{}\n{}{}{}{}\n", open, kBegin, close, words_of(kind).body, open, kEnd, close);
}

std::string next_server_line(Kind kind, std::string_view address) {
    return fmt::format(fmt::runtime(words_of(kind).next_server), address);
}

Result<std::string> add(Kind kind, std::string_view text) {
    auto found = TRY(scan(kind, text));
    if (TRY(find_part(kind, text))) return std::string(text);
    for (const auto& m : found.mentions)
        if (m.what == Mention::What::OurName)
            return make_error(errors::kForeignConfig, "line {}: '{}' is there already, without our marks", m.line,
                              kOurName);
    auto out = TRY(add_to(kind, text, found));
    // The promise, kept by trying it: no text is so odd that it is changed for good.
    auto back = remove(kind, out);
    if (!back.ok() || *back != text || !scan(kind, out).ok())
        return make_error(errors::kForeignConfig, "what is added could not be taken out again");
    return out;
}

Result<std::string> remove(Kind kind, std::string_view text) {
    auto part = TRY(find_part(kind, text));
    std::string out(text);
    if (part) out.erase(part->first, part->second - part->first);
    TRY(scan(kind, out));
    return out;
}

Result<std::vector<Finding>> check(Kind kind, std::string_view text, bool same_host) {
    std::vector<Finding> out;
    auto part = TRY(find_part(kind, text));
    TRY(scan(kind, text));
    // As many lines as before, so that line numbers stay right.
    std::string rest(text);
    if (part)
        for (auto i = part->first; i < part->second; ++i)
            if (rest[i] != '\n') rest[i] = ' ';
    auto found = scan(kind, rest);
    if (!found.ok() && part) found = scan(kind, TRY(remove(kind, text)));
    bool gives = false;
    auto mentions = TRY(std::move(found)).mentions;
    for (const auto& m : mentions) switch (m.what) {
            case Mention::What::BootFile:
                out.push_back({"boot-file", m.line, m.text + ": it names a boot file of its own; remove it"});
                break;
            // GRUB behind shim goes by it: docs/quirks.md, "Secure Boot beside a DHCP server on another host".
            case Mention::What::NextServer:
                out.push_back({"next-server", m.line,
                               m.text + ": right when it is the address of our server; otherwise remove it", false});
                break;
            case Mention::What::VendorClass:
                out.push_back({"option-60", m.line, m.text + ": it sends option 60 itself; remove it"});
                break;
            case Mention::What::Include:
                out.push_back({"includes", m.line, m.text + ": check what it includes as well", false});
                break;
            case Mention::What::Range: gives = true; break;
            case Mention::What::OurName: break;
        }
    if (!gives) out.push_back({"no-range", 0, "no addresses are given out by this file", false});
    if (same_host && !part)
        out.push_back({"no-fragment", 0, "clients are not told to ask port 4011 of this machine; dhcp-coexist add"});
    if (!same_host && part)
        out.push_back({"needless-fragment", 0,
                       "clients are told to ask port 4011 of this machine, but the service is on another one; "
                       "dhcp-coexist remove"});
    return out;
}

}  // namespace slipway::dhcp::coexist
