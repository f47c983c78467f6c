// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/xml_writer.hpp"
#include "vmscript/render.hpp"

namespace slipway::vmscript {

std::string render_definition(const Plan& plan) {
    XmlWriter xml;
    xml.open("vm").attribute("xmlns", "urn:slipway:vm:1").attribute("name", plan.name);
    xml.attribute("memory-mib", std::to_string(plan.memory_mib));
    xml.attribute("processors", std::to_string(plan.processors));
    xml.attribute("firmware", "bios").attribute("directory", plan.config_path);
    xml.open("disks").attribute("controller", name_of(plan.controller));
    for (const auto& d : plan.disks)
        xml.open("disk")
            .attribute("path", d.vhd)
            .attribute("size", std::to_string(d.size))
            .attribute("type", plan.dynamic_disks ? "dynamic" : "fixed")
            .close();
    xml.close().open("adapters");
    for (const auto& n : plan.nics)
        xml.open("adapter").attribute("mac", n.new_mac).attribute("network", plan.network).close();
    xml.close().close();
    return std::move(xml).take();
}

}  // namespace slipway::vmscript
