// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/first_boot.hpp"

#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

std::string crlf(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 16);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out += '\r';
        out += text[i];
    }
    if (!out.empty() && !out.ends_with('\n')) out += "\r\n";
    return out;
}

std::string script_id(unsigned order, std::string_view name, std::string_view text) {
    return fmt::format("{:04}-{}.{}.cmd", order, name, sha256(as_bytes(text)).text().substr(0, 12));
}

// Redirections come first in a line: "echo 1>>log" would mean handle 1. Labels and %1 alone, no "goto :eof" and no
// "%~1": Windows NT 4 knows neither.
std::string runner() {
    return crlf(R"(@echo off
rem Written by Slipway: runs each first-boot script once, in order, then takes itself out of the boot.
set HERE=%SystemRoot%\slipway\FirstBoot
set LOG=%SystemRoot%\slipway\first-boot.log
set RESTART=
set TRY=1
if exist "%HERE%\try-1" set TRY=2
if exist "%HERE%\try-2" set TRY=3
if not exist "%HERE%\try-3" goto begin
>>"%LOG%" echo Three boots were cut short in here: the scripts that are left are not tried again.
goto restore
:begin
>"%HERE%\try-%TRY%" echo begun
if not exist "%HERE%\done" mkdir "%HERE%\done"
>>"%LOG%" echo %DATE% %TIME% boot %TRY% begins
for /f %%s in ('dir /b /on "%HERE%\scripts\*.cmd"') do call :one %%s
:restore
if exist "%HERE%\setup.reg" "%SystemRoot%\regedit.exe" /s "%HERE%\setup.reg"
if exist "%HERE%\scripts" rmdir /s /q "%HERE%\scripts"
if exist "%HERE%\files" rmdir /s /q "%HERE%\files"
for %%t in (1 2 3) do if exist "%HERE%\try-%%t" del /q "%HERE%\try-%%t"
>>"%LOG%" echo %DATE% %TIME% all done
if exist "%HERE%\proof.cmd" call "%HERE%\proof.cmd"
if exist "%HERE%\proof.cmd" del /q "%HERE%\proof.cmd"
if not "%RESTART%"=="" shutdown -r -t 0
goto end
:one
if exist "%HERE%\done\%1" goto end
>>"%LOG%" echo %DATE% %TIME% %1 begins
cmd.exe /c "%HERE%\scripts\%1" >>"%LOG%" 2>&1 <nul
set CODE=%ERRORLEVEL%
>>"%LOG%" echo %DATE% %TIME% %1 ended with %CODE%
if "%CODE%"=="3010" set RESTART=yes
>"%HERE%\done\%1" echo %CODE%
del /q "%HERE%\scripts\%1"
:end
)");
}

// The emulator's second serial port has no modem lines: no handshake, or the write would wait for ever.
std::string proof_command(std::string_view nonce) {
    return crlf(fmt::format(R"(@echo off
rem Written by Slipway: says on the second serial port that this Windows has come up.
mode COM2: baud=115200 parity=n data=8 stop=1 to=off xon=off odsr=off octs=off >nul
>COM2 echo SLIPWAY-UP {0}
>"%SystemRoot%\slipway\FirstBoot\done\proof.{0}" echo sent
)",
                            nonce));
}

std::optional<std::string> setup_values(const Hive& system, unsigned major) {
    const auto type = system.number("Setup", "SetupType").value_or(0);
    const auto value = system.get("Setup", "CmdLine");
    std::string line;
    if (!value) {
        // Windows NT 4's regedit cannot delete a value; an empty one means the same.
        line = major < 5 ? "\"CmdLine\"=\"\"" : "\"CmdLine\"=-";
    } else {
        const auto text = as_string(*value);
        if (!text || value->type != RegType::Sz) return std::nullopt;
        line = "\"CmdLine\"=\"";
        for (const char c : *text) {
            if (c < 0x20 || c > 0x7e) return std::nullopt;
            if (c == '"' || c == '\\') line += '\\';
            line += c;
        }
        line += '"';
    }
    return crlf(fmt::format("REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\Setup]\n\"SetupType\"=dword:{:08x}\n{}\n\n",
                            static_cast<std::uint32_t>(type), line));
}

std::string crash_control_values(std::uint32_t auto_reboot) {
    return crlf(
        fmt::format("REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\CrashControl]\n"
                    "\"AutoReboot\"=dword:{:08x}\n\"SlipwayAutoReboot\"=-\n\n",
                    auto_reboot));
}

std::string regedit_line(std::string_view file) {
    return fmt::format("\"%SystemRoot%\\regedit.exe\" /s \"%SystemRoot%\\slipway\\FirstBoot\\files\\{}\"\n", file);
}

std::string with_runner(std::string_view setup_complete) {
    const auto line = fmt::format("cmd.exe /c \"%SystemRoot%\\slipway\\FirstBoot\\run.cmd\"\r\n");
    if (setup_complete.find(line) != std::string_view::npos) return std::string(setup_complete);
    return line + std::string(setup_complete);
}

}  // namespace slipway::fixup::windows
