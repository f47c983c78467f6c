// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/validation/validate.hpp"

#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

std::vector<Finding> validate(const gatherhw::Inventory& inventory, const Switches& switches,
                              const Surroundings& around, const std::vector<std::string>& reader_warnings) {
    const Facts facts(inventory, switches, around, reader_warnings);
    std::vector<Finding> out;
    for (const auto& rule : rules()) {
        Findings findings(rule, out);
        rule.look(facts, findings);
    }
    return out;
}

}  // namespace slipway::vmscript
