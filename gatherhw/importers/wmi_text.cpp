// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/importers/wmi_text.hpp"

#include <algorithm>
#include <utility>

#include "gatherhw/importers/shared.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::size_t kMaxInstances = 50'000, kMaxProperties = 500;

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    });
}

std::string kind_in_name(std::string_view file_name) {
    auto name = to_lower(file_name.substr(file_name.size() > 1000 ? file_name.size() - 1000 : 0));
    for (std::string_view prefix :
         {"win32_", "cim_", "softwarelicensingproduct", "softwarelicensingservice", "msft_"}) {
        auto at = name.rfind(prefix);
        if (at == std::string::npos) continue;
        auto end = at;
        while (end < name.size() && is_name(std::string_view(name).substr(end, 1))) ++end;
        return name.substr(at, end - at);
    }
    return {};
}

// Classes whose instances do not say what they are, by properties that only they have.
std::string kind_by_properties(const WmiInstance& instance) {
    struct Row {
        std::string_view property, kind;
    };
    constexpr Row kRows[] = {{"dhcpenabled", "win32_networkadapterconfiguration"},
                             {"hotfixid", "win32_quickfixengineering"},
                             {"dirtybitset", "win32_volume"},
                             {"protectionstatus", "win32_encryptablevolume"},
                             {"productkeychannel", "softwarelicensingproduct"},
                             {"oa3xoriginalproductkeydescription", "softwarelicensingservice"},
                             {"smbiosbiosversion", "win32_bios"},
                             {"buildnumber", "win32_operatingsystem"},
                             {"startmode", "win32_service"},
                             {"netconnectionid", "win32_networkadapter"},
                             {"identifyingnumber", "win32_computersystemproduct"},
                             {"antecedent", "win32_logicaldisktopartition"}};
    for (const auto& row : kRows)
        if (instance.properties.contains(row.property)) return std::string(row.kind);
    return {};
}

std::string class_of(std::string_view text) {
    auto name = text.substr(text.rfind(':') + 1);
    return is_name(name) ? to_lower(name) : std::string();
}

class Reader {
public:
    explicit Reader(std::string_view file_name) : file_kind_(kind_in_name(file_name)) {}

    void line(std::string_view raw) {
        if (raw.ends_with('\r')) raw.remove_suffix(1);
        const auto text = trim(raw);
        // What PowerShell indents is inside a value, be it empty.
        const bool goes_on = form_ == Form::Column && (raw.starts_with(' ') || raw.starts_with('\t'));
        if (text.empty()) return goes_on ? void() : finish();
        const auto property = goes_on ? std::nullopt : split_line(raw, text);
        if (!property) {
            // A value of several lines.
            if (last_ != nullptr && last_->size() < 65536) *last_ += "\n" + unescape_entities(text);
            return;
        }
        auto key = to_lower(property->name);
        if (instance_.properties.contains(key)) finish();  // the blank line is missing
        if (instance_.properties.size() == kMaxProperties) return;
        form_ = property->form;
        column_ = property->column;
        last_ = &(instance_.properties[key] = unescape_entities(property->value));
    }

    void finish() {
        last_ = nullptr;
        column_.reset();
        auto found = std::exchange(instance_, {});
        if (found.properties.empty() || out_.size() == kMaxInstances) return;
        found.kind = to_lower(found.get("creationclassname"));
        // "root/cimv2:Win32_LogicalDiskToPartition" by Get-CimInstance; by Get-WmiObject the class alone.
        if (const auto kind = found.get("cimclass"); found.kind.empty()) found.kind = class_of(kind);
        if (const auto kind = found.get("__class"); found.kind.empty()) found.kind = class_of(kind);
        // Services, NICs and disks of the same dump name the system's class beside their own.
        if (found.kind.empty()) found.kind = file_kind_;
        if (found.kind.empty()) found.kind = kind_by_properties(found);
        // What CIM_DataFile calls itself, and CIM_Directory too.
        if (found.kind == "cim_logicalfile" && found.properties.contains("version")) found.kind = "cim_datafile";
        out_.push_back(std::move(found));
    }

    std::vector<WmiInstance> take() && {
        finish();
        return std::move(out_);
    }

private:
    enum class Form { Unknown, Equals, Column };
    struct Property {
        std::string_view name, value;
        Form form;
        std::optional<std::size_t> column;
    };

    // The first property of a file says which form it has: a value that looks like the other one stays a value.
    std::optional<Property> split_line(std::string_view raw, std::string_view text) const {
        if (const auto at = text.find('='); form_ != Form::Column && at != std::string_view::npos)
            if (const auto name = text.substr(0, at); is_name(name))
                return Property{name, text.substr(at + 1), Form::Equals, std::nullopt};
        const auto at = raw.find(" :");
        if (form_ == Form::Equals || at == std::string_view::npos || (column_ && *column_ != at)) return std::nullopt;
        const auto name = trim(raw.substr(0, at)), value = raw.substr(at + 2);
        if (raw.front() == ' ' || !is_name(name) || (!value.empty() && value.front() != ' ')) return std::nullopt;
        return Property{name, trim(value), Form::Column, at};
    }

    std::string file_kind_;
    Form form_ = Form::Unknown;
    std::optional<std::size_t> column_;  // of " :" in this instance
    WmiInstance instance_;
    std::string* last_ = nullptr;
    std::vector<WmiInstance> out_;
};

}  // namespace

std::string WmiInstance::get(std::string_view name) const {
    auto found = properties.find(name);
    return found == properties.end() ? "" : std::string(trim(found->second));
}

std::uint64_t WmiInstance::number(std::string_view name) const { return parse_u64(get(name)).value_or(0); }

bool WmiInstance::is_true(std::string_view name) const { return flag(name) == true; }

std::optional<bool> WmiInstance::flag(std::string_view name) const {
    auto text = get(name);
    if (iequals(text, "true")) return true;
    if (iequals(text, "false")) return false;
    return std::nullopt;
}

std::vector<std::string> WmiInstance::items(std::string_view name) const {
    std::vector<std::string> out;
    auto text = get(name);
    if (text.starts_with('{') && text.ends_with('}')) text = text.substr(1, text.size() - 2);
    // PowerShell's sign that it left the others out.
    for (std::string_view more : {"...", "…"})
        if (text.ends_with(more)) text.resize(text.size() - more.size());
    for (const auto& part : split(text, ',')) {
        auto item = trim(part);
        if (item.size() >= 2 && item.front() == '"' && item.back() == '"') item = item.substr(1, item.size() - 2);
        if (!item.empty() && out.size() < 1000) out.emplace_back(item);
    }
    return out;
}

std::vector<WmiInstance> read_wmi(std::string_view utf8, std::string_view file_name) {
    Reader reader(file_name);
    while (!utf8.empty()) {
        auto end = std::min(utf8.find('\n'), utf8.size());
        reader.line(utf8.substr(0, end));
        utf8.remove_prefix(std::min(end + 1, utf8.size()));
    }
    return std::move(reader).take();
}

}  // namespace slipway::gatherhw
