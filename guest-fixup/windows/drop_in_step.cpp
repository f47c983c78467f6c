// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/drop_in.hpp"
#include "guest-fixup/windows/first_boot.hpp"
#include "guest-fixup/windows/places.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

const PackageFile* find_file(const std::vector<PackageFile>& files, const std::string& path) {
    const auto found =
        std::find_if(files.begin(), files.end(), [&](const PackageFile& file) { return iequals(file.name, path); });
    return found == files.end() ? nullptr : &*found;
}

// Safe in a path and in a command line.
bool plain_name(std::string_view name) {
    return !name.starts_with('.') && std::all_of(name.begin(), name.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("._-").find(c) != std::string_view::npos;
    });
}

class Copier {
public:
    explicit Copier(WindowsRepair& repair) : repair_(repair) {}

    // The whole package into a folder of its own, which DevicePath names; the boot driver's file also where the service
    // says it is. False: files are missing, which a warning names.
    Result<bool> copy(const DropIn& drop_in, const InfService* boot) {
        const auto& files = repair_.request.driver_files;
        const auto directory = drop_in.inf.substr(0, drop_in.inf.rfind('/') + 1);
        const auto leaf = drop_in.inf.substr(directory.size());
        if (!plain_name(leaf)) {
            missing_ =
                fmt::format("{} has a name of other than letters, digits, '.', '_' and '-'", printable(drop_in.inf));
            return false;
        }
        std::vector<std::string> wanted{leaf}, missing;
        if (!drop_in.package.catalog.empty()) wanted.push_back(drop_in.package.catalog);
        for (const auto& device : drop_in.package.devices)
            for (const auto& file : drop_in.package.installs[device.install].files)
                if (std::find(wanted.begin(), wanted.end(), file.source) == wanted.end()) wanted.push_back(file.source);
        for (const auto& name : wanted)
            if (!find_file(files, directory + name)) missing.push_back(name);
        if (boot && !binary_of(drop_in, *boot)) missing.push_back(boot->binary);
        if (!missing.empty()) {
            missing_ = fmt::format("{} names files that are not there: {}", printable(drop_in.inf),
                                   printable(join(missing, ", ")));
            return false;
        }
        const auto folder = to_lower(leaf.substr(0, leaf.size() - 4));
        const auto place = fmt::format("{}/slipway/Drivers/{}", repair_.windows.root, folder);
        const auto what = fmt::format("driver {}: package", printable(folder));
        for (const auto& name : wanted)
            TRY(repair_.guest.write(what, fmt::format("{}/{}", place, name),
                                    find_file(files, directory + name)->content));
        if (boot)
            TRY(repair_.guest.write(
                what,
                place_for(repair_.guest, fmt::format("{}/system32/drivers/{}", repair_.windows.root, boot->binary)),
                binary_of(drop_in, *boot)->content));
        infs_.push_back(fmt::format("{}\\{}", folder, leaf));
        return true;
    }
    const std::string& missing() const { return missing_; }
    const std::vector<std::string>& infs() const { return infs_; }

private:
    const PackageFile* binary_of(const DropIn& drop_in, const InfService& service) const {
        const auto directory = drop_in.inf.substr(0, drop_in.inf.rfind('/') + 1);
        for (const auto& device : drop_in.package.devices)
            for (const auto& file : drop_in.package.installs[device.install].files)
                if (iequals(file.source.substr(file.source.rfind('/') + 1), service.binary))
                    return find_file(repair_.request.driver_files, directory + file.source);
        return find_file(repair_.request.driver_files, directory + service.binary);
    }

    WindowsRepair& repair_;
    std::string missing_;
    std::vector<std::string> infs_;  // "viostor\viostor.inf"
};

// Where Windows looks for drivers of new devices: each folder by its name, none below it.
Status extend_device_path(WindowsRepair& repair, const std::vector<std::string>& infs) {
    constexpr const char* kKey = "Microsoft\\Windows\\CurrentVersion";
    const auto value = repair.software.get(kKey, "DevicePath");
    auto text = value ? as_string(*value).value_or("") : "";
    if (text.empty()) text = "%SystemRoot%\\inf";
    auto parts = split(text, ';');
    for (const auto& inf : infs) {
        const auto folder = "%SystemRoot%\\slipway\\Drivers\\" + inf.substr(0, inf.find('\\'));
        if (std::none_of(parts.begin(), parts.end(), [&](const auto& part) { return iequals(part, folder); }))
            parts.push_back(folder);
    }
    constexpr const char* kWhat = "drivers: where Windows looks for them";
    if (!value) return repair.software.set(kWhat, kKey, "DevicePath", reg_expand_sz(join(parts, ";")));
    return repair.software.set_string(kWhat, kKey, "DevicePath", join(parts, ";"));
}

// Vista and later take a package into their store by a program of their own, before any device asks for it.
Status install_at_first_boot(WindowsRepair& repair, const std::vector<std::string>& infs) {
    std::string text = "@echo off\n";
    for (const auto& inf : infs)
        text +=
            fmt::format("\"%SystemRoot%\\System32\\pnputil.exe\" -i -a \"%SystemRoot%\\slipway\\Drivers\\{}\"\n", inf);
    // pnputil's own codes say how many went in, not whether all is well.
    return put_script(repair, kDriversOrder, "drivers", crlf(text + "exit 0\n"));
}

std::string nothing_for(const WindowsRepair& repair, const DropIns& found) {
    std::vector<std::string> some(
        found.refused.begin(),
        found.refused.begin() + static_cast<long>(std::min<std::size_t>(found.refused.size(), 6)));
    return fmt::format("no driver for {} ({}) for Windows {}.{}.{} is in the folders given{}{}",
                       name_of(repair.request.target), hardware_of(repair.request.target)[0], repair.windows.major,
                       repair.windows.minor, repair.windows.build, some.empty() ? "" : ": ", join(some, "; "));
}

bool needs_drop_in(TargetController target) {
    return target == TargetController::VirtioBlk || target == TargetController::VirtioScsi;
}

}  // namespace

Status add_drop_in_drivers(WindowsRepair& repair) {
    if (repair.request.driver_files.empty()) return {};
    repair.note("drop-in drivers");
    if (repair.windows.major < 5) {
        repair.warn("Windows NT 4 knows no plug and play: drivers from a folder are for Windows 2000 and later");
        return {};
    }
    const auto found = choose_drop_ins(repair.request.driver_files, repair.windows, repair.request.target);
    // Inbox drivers serve the other controllers.
    if (found.storage.empty() && needs_drop_in(repair.request.target) &&
        !repair.system.has(repair.windows.services() +
                           (repair.request.target == TargetController::VirtioBlk ? "\\viostor" : "\\vioscsi")))
        return make_error(errors::kDrivers, "{}", nothing_for(repair, found));
    Copier copier(repair);
    for (const auto& drop_in : found.storage) {
        const auto& package = drop_in.package;
        const auto& service = *package.installs[package.devices[0].install].service;
        if (!TRY(copier.copy(drop_in, &service))) return make_error(errors::kDrivers, "{}", copier.missing());
        for (const auto& device : package.devices)
            TRY(register_boot_driver(repair.system, repair.windows, package, device));
    }
    for (const auto& drop_in : found.network)
        if (!TRY(copier.copy(drop_in, nullptr))) repair.warn(copier.missing() + ": left out");
    if (copier.infs().empty()) return {};
    TRY(extend_device_path(repair, copier.infs()));
    if (repair.windows.major < 6) return {};
    return install_at_first_boot(repair, copier.infs());
}

}  // namespace slipway::fixup::windows
