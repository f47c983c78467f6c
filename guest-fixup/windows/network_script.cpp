// SPDX-License-Identifier: GPL-3.0-or-later
// Text for Windows' own interpreters. WMI's Win32_NetworkAdapterConfiguration does it from Windows 2000 on; where
// PowerShell has modules for it (Windows 8 and 2012) those are used, for VBScript is leaving Windows.
#include <algorithm>
#include <bit>

#include "guest-fixup/windows/first_boot.hpp"
#include "guest-fixup/windows/network.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

std::string upper(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

std::string quoted(const std::vector<std::string>& texts, char quote) {
    std::string out;
    for (const auto& text : texts) out += fmt::format("{}{}{}{}", out.empty() ? "" : ", ", quote, text, quote);
    return out;
}

std::string array(const std::vector<std::string>& texts) { return "Array(" + quoted(texts, '"') + ")"; }

unsigned prefix_length(const std::string& mask) {
    return static_cast<unsigned>(std::popcount(Ipv4Address::parse(mask).value_or(Ipv4Address{}).value));
}

// The driver of the new adapter may still be being installed, and nothing here can be waited for but the adapter
// itself: it is looked for every two seconds, five minutes long.
constexpr std::string_view kVbsHead =
    R"(' Written by Slipway: the static addresses of this machine's old network adapters, for its new ones.
Option Explicit
On Error Resume Next
Dim wmi, shell, adapter, failed
Set wmi = GetObject("winmgmts:{impersonationLevel=impersonate}!\\.\root\cimv2")
Set shell = CreateObject("WScript.Shell")
failed = 0

Function AdapterOf(mac)
    Dim tries, found
    Set AdapterOf = Nothing
    For tries = 1 To 150
        For Each found In wmi.ExecQuery("SELECT * FROM Win32_NetworkAdapterConfiguration WHERE IPEnabled=TRUE AND MACAddress='" & mac & "'")
            Set AdapterOf = found
            Exit Function
        Next
        WScript.Sleep 2000
    Next
End Function

Sub Check(what, result)
    If result = 0 Or result = 1 Then
        WScript.Echo what & ": done"
    Else
        WScript.Echo what & ": WMI says " & result
        failed = 1
    End If
End Sub

Sub Problem(what)
    If Err.Number <> 0 Then
        WScript.Echo what & ": " & Err.Description
        failed = 1
        Err.Clear
    End If
End Sub

Sub Run(command)
    WScript.Echo command & ": " & shell.Run(command, 0, True)
End Sub
)";

std::vector<std::string> ips_of(const AdapterSettings& settings) {
    std::vector<std::string> out;
    for (const auto& address : settings.addresses) out.push_back(address.ip);
    return out;
}

// What an older WMI does not know is told, and the rest is still done.
std::string vbs_check(std::string_view what, const std::string& call) {
    return fmt::format("    Check \"{0}\", adapter.{1} : Problem \"{0}\"\n", what, call);
}

std::string vbs_addresses(const AdapterSettings& settings) {
    if (settings.dhcp) return "";
    std::vector<std::string> masks, gateways, metrics;
    for (const auto& address : settings.addresses) masks.push_back(address.mask);
    for (const auto& gateway : settings.gateways) {
        gateways.push_back(gateway.ip);
        metrics.push_back(std::to_string(gateway.metric));
    }
    auto out = vbs_check("address", fmt::format("EnableStatic({}, {})", array(ips_of(settings)), array(masks)));
    if (gateways.empty()) return out;
    const bool chosen = std::all_of(settings.gateways.begin(), settings.gateways.end(),
                                    [](const Gateway& gateway) { return gateway.metric > 0; });
    return out + vbs_check("gateway", fmt::format("SetGateways({}{})", array(gateways),
                                                  chosen ? fmt::format(", Array({})", join(metrics, ", ")) : ""));
}

std::string vbs_settings(const NewAdapter& adapter) {
    const auto& s = adapter.settings;
    std::string out;
    if (!adapter.removal_file.empty())
        out += fmt::format(
            "    If UCase(adapter.SettingID) <> \"{}\" Then "
            "Run \"\"\"%SystemRoot%\\regedit.exe\"\" /s \"\"%SystemRoot%\\slipway\\FirstBoot\\files\\{}\"\"\"\n",
            adapter.old->guid, adapter.removal_file);
    out += vbs_addresses(s);
    if (!s.dns.empty()) out += vbs_check("DNS", fmt::format("SetDNSServerSearchOrder({})", array(s.dns)));
    if (!s.domain.empty()) out += vbs_check("domain", fmt::format("SetDNSDomain(\"{}\")", s.domain));
    if (!s.wins.empty())
        out += vbs_check("WINS",
                         fmt::format("SetWINSServer(\"{}\", \"{}\")", s.wins[0], s.wins.size() > 1 ? s.wins[1] : ""));
    if (s.netbios) out += vbs_check("NetBIOS", fmt::format("SetTcpipNetbios({})", *s.netbios));
    if (s.metric) out += vbs_check("metric", fmt::format("SetIPConnectionMetric({})", *s.metric));
    auto netsh = [&](std::string_view what, std::string_view rest) {
        out += fmt::format("    Run \"netsh interface ipv6 add {} \" & adapter.InterfaceIndex & \" {}\"\n", what, rest);
    };
    for (const auto& address : s.addresses6) netsh("address", address);
    for (const auto& gateway : s.gateways6) netsh("route ::/0", gateway);
    for (const auto& server : s.dns6) netsh("dnsservers", server);
    return out;
}

constexpr std::string_view kPowerShellHead =
    R"(# Written by Slipway: the static addresses of this machine's old network adapters, for its new ones.
$ErrorActionPreference = 'Stop'
$failed = 0

function Find-Adapter($mac) {
    for ($try = 0; $try -lt 150; $try++) {
        $found = @(Get-NetAdapter -ErrorAction SilentlyContinue | Where-Object { $_.MacAddress -eq $mac })
        if ($found.Count -gt 0) { return $found[0] }
        Start-Sleep -Seconds 2
    }
}
)";

std::string power_shell_routes(const AdapterSettings& s) {
    std::string out;
    for (const auto& gateway : s.gateways)
        out += fmt::format(
            "        New-NetRoute -InterfaceIndex $index -DestinationPrefix '0.0.0.0/0' -NextHop '{}'{} | Out-Null\n",
            gateway.ip, gateway.metric ? fmt::format(" -RouteMetric {}", gateway.metric) : "");
    for (const auto& gateway : s.gateways6)
        out += fmt::format(
            "        New-NetRoute -InterfaceIndex $index -DestinationPrefix '::/0' -NextHop '{}' | Out-Null\n",
            gateway);
    return out;
}

std::string power_shell_settings(const NewAdapter& adapter) {
    const auto& s = adapter.settings;
    std::string out;
    if (!adapter.removal_file.empty())
        out += fmt::format(
            "        if ($adapter.InterfaceGuid -ne '{}') {{\n            Start-Process -Wait "
            "\"$env:SystemRoot\\regedit.exe\" -ArgumentList '/s', "
            "\"$env:SystemRoot\\slipway\\FirstBoot\\files\\{}\"\n        }}\n",
            adapter.old->guid, adapter.removal_file);
    out += "        $index = $adapter.ifIndex\n";
    if (!s.dhcp)
        out +=
            "        Set-NetIPInterface -InterfaceIndex $index -AddressFamily IPv4 -Dhcp Disabled\n"
            "        Get-NetIPAddress -InterfaceIndex $index -AddressFamily IPv4 -ErrorAction SilentlyContinue | "
            "Remove-NetIPAddress -Confirm:$false\n"
            "        Get-NetRoute -InterfaceIndex $index -DestinationPrefix '0.0.0.0/0' -ErrorAction SilentlyContinue "
            "| "
            "Remove-NetRoute -Confirm:$false\n";
    for (const auto& address : s.addresses)
        out +=
            fmt::format("        New-NetIPAddress -InterfaceIndex $index -IPAddress '{}' -PrefixLength {} | Out-Null\n",
                        address.ip, prefix_length(address.mask));
    for (const auto& address : s.addresses6)
        out +=
            fmt::format("        New-NetIPAddress -InterfaceIndex $index -IPAddress '{}' -PrefixLength {} | Out-Null\n",
                        address.substr(0, address.find('/')), address.substr(address.find('/') + 1));
    out += power_shell_routes(s);
    auto servers = s.dns;
    servers.insert(servers.end(), s.dns6.begin(), s.dns6.end());
    if (!servers.empty())
        out += fmt::format("        Set-DnsClientServerAddress -InterfaceIndex $index -ServerAddresses @({})\n",
                           quoted(servers, '\''));
    if (!s.domain.empty())
        out += fmt::format("        Set-DnsClient -InterfaceIndex $index -ConnectionSpecificSuffix '{}'\n", s.domain);
    if (s.metric)
        out += fmt::format(
            "        Set-NetIPInterface -InterfaceIndex $index -AddressFamily IPv4 -InterfaceMetric {}\n", *s.metric);
    for (const auto& server : s.wins)
        out += fmt::format("        netsh interface ipv4 add winsservers $index {}\n", server);
    if (s.netbios)
        out += fmt::format(
            "        Get-CimInstance Win32_NetworkAdapterConfiguration -Filter \"InterfaceIndex=$index\" | "
            "Invoke-CimMethod -MethodName SetTcpipNetbios -Arguments @{{TcpipNetbiosOptions=[uint32]{}}} | Out-Null\n",
            *s.netbios);
    return out;
}

}  // namespace

std::string network_vbs(const std::vector<NewAdapter>& adapters) {
    std::string out(kVbsHead);
    for (const auto& adapter : adapters) {
        const auto mac = upper(adapter.mac.text());
        out += fmt::format(
            "\nSet adapter = AdapterOf(\"{0}\")\nIf adapter Is Nothing Then\n"
            "    WScript.Echo \"{0}: no adapter with this address has come up\"\n    failed = 1\n",
            mac);
        if (adapter.old && !adapter.asked)
            out += fmt::format(
                "ElseIf UCase(adapter.SettingID) = \"{}\" Then\n"
                "    WScript.Echo \"{}: Windows took it for the old adapter, whose settings it has\"\n",
                adapter.old->guid, mac);
        out += fmt::format("Else\n    WScript.Echo \"{}: \" & adapter.Description\n{}End If\n", mac,
                           vbs_settings(adapter));
    }
    return crlf(out + "\nWScript.Quit failed\n");
}

std::string network_powershell(const std::vector<NewAdapter>& adapters) {
    std::string out(kPowerShellHead);
    for (const auto& adapter : adapters) {
        auto mac = upper(adapter.mac.text());
        std::replace(mac.begin(), mac.end(), ':', '-');
        out += fmt::format(
            "\ntry {{\n    $adapter = Find-Adapter '{0}'\n    if (-not $adapter) {{\n"
            "        throw 'no adapter with this address has come up'\n    }}",
            mac);
        if (adapter.old && !adapter.asked)
            out += fmt::format(
                " elseif ($adapter.InterfaceGuid -eq '{}') {{\n"
                "        Write-Output '{}: Windows took it for the old adapter, whose settings it has'\n    }}",
                adapter.old->guid, mac);
        out += fmt::format(
            " else {{\n{1}        Write-Output '{0}: done'\n    }}\n}} catch {{\n"
            "    Write-Output \"{0}: $_\"\n    $failed = 1\n}}\n",
            mac, power_shell_settings(adapter));
    }
    return crlf(out + "\nexit $failed\n");
}

std::optional<std::string> removal_of(const OldAdapter& adapter) {
    constexpr std::string_view kClass = "{4D36E972-E325-11CE-BFC1-08002BE10318}";
    const std::string set = "[-HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\";
    auto out = fmt::format(
        "REGEDIT4\n\n{0}Services\\Tcpip\\Parameters\\Interfaces\\{1}]\n\n"
        "{0}Services\\NetBT\\Parameters\\Interfaces\\Tcpip_{1}]\n\n{0}Services\\{1}]\n\n",
        set, adapter.guid);
    const auto parts = split(adapter.instance, '\\');
    const bool plain = std::all_of(adapter.instance.begin(), adapter.instance.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) ||
               std::string_view("\\&_.#{}-").find(c) != std::string_view::npos;
    });
    if (parts.size() != 3 || !plain ||
        std::any_of(parts.begin(), parts.end(), [](const auto& p) { return p.empty(); }) ||
        adapter.class_key.size() != 4 || !parse_u64(adapter.class_key))
        return std::nullopt;
    // What is enumerated by software does not go with the hardware: a team's adapter, which is still there.
    if (!iequals(parts[0], "ROOT") && !iequals(parts[0], "SW") && !iequals(parts[0], "SWD"))
        out += fmt::format("{0}Control\\Network\\{1}\\{2}]\n\n{0}Control\\Class\\{1}\\{3}]\n\n{0}Enum\\{4}]\n\n", set,
                           kClass, adapter.guid, adapter.class_key, adapter.instance);
    return crlf(out);
}

std::string network_command(std::string_view file, bool powershell) {
    const auto program = powershell ? "System32\\WindowsPowerShell\\v1.0\\powershell.exe\" -NoProfile -NonInteractive "
                                      "-ExecutionPolicy Bypass -File"
                                    : "System32\\cscript.exe\" //nologo";
    return crlf(
        fmt::format("@echo off\n\"%SystemRoot%\\{} \"%SystemRoot%\\slipway\\FirstBoot\\files\\{}\"\n", program, file));
}

}  // namespace slipway::fixup::windows
