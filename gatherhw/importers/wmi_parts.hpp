// SPDX-License-Identifier: GPL-3.0-or-later
// The parts of the WMI importer by topic, in the order they run.
#pragma once

#include "gatherhw/importers/importers.hpp"
#include "gatherhw/importers/wmi_text.hpp"
#include "gatherhw/model.hpp"

namespace slipway::gatherhw {

class WmiMachine {  // the instances of all files, by class
public:
    explicit WmiMachine(std::vector<WmiInstance> all) {
        for (auto& i : all) by_kind_[i.kind].push_back(std::move(i));
    }
    const std::vector<WmiInstance>& of(std::string_view lower_case_kind) const {
        static const std::vector<WmiInstance> kNone;
        auto found = by_kind_.find(lower_case_kind);
        return found == by_kind_.end() ? kNone : found->second;
    }
    bool has(std::string_view kind) const { return !of(kind).empty(); }
    bool empty() const { return by_kind_.empty(); }
    std::vector<std::string> kinds() const {
        std::vector<std::string> out;
        for (const auto& [kind, list] : by_kind_) out.push_back(kind.empty() ? "unknown" : kind);
        return out;
    }

private:
    std::map<std::string, std::vector<WmiInstance>, std::less<>> by_kind_;
};

void wmi_system(const WmiMachine& machine, Inventory& out);
void wmi_os(const WmiMachine& machine, Inventory& out);
void wmi_storage(const WmiMachine& machine, Inventory& out);
void wmi_network(const WmiMachine& machine, Inventory& out);
void wmi_devices(const WmiMachine& machine, Inventory& out);
void wmi_software(const WmiMachine& machine, Inventory& out);

// wmi_registry.cpp: what `reg query` wrote, of any number of keys.
bool is_registry_dump(std::string_view text);
void take_registry(std::string_view text, Inventory& out);

// wmi_files.cpp, behind the others: a program file of system32 or boot.ini, as it lies on the source, by its content.
bool is_copied_file(ByteView bytes);
Status take_copied_file(const Dump& dump, Inventory& out);  // errors: kBadDump

}  // namespace slipway::gatherhw
