// SPDX-License-Identifier: GPL-3.0-or-later
// The XML form of the model, said once: each fields(archive, record) hands every field with its
// attribute or element name to an archive (XML writer, JSON writer, XML reader). An archive has
//   value(name, scalar)            one attribute: text, number, bool, enum, optional of these
//   count(name, number)            the same, left out when 0 (unknown)
//   known(name, enumeration)       the same, left out when it is the first of its kind (unknown)
//   hex(name, number, digits)      one attribute, "0x8086"
//   words(name, texts)             one attribute, separated by blanks
//   texts(element, texts)          repeated elements holding text
//   body(text)                     the element's own text
//   record(element, record)        one child element; an optional record may be absent
//   list(element, item, records)   a child element holding item elements
#pragma once

#include <concepts>

#include "gatherhw/model.hpp"

namespace slipway::gatherhw {

template <typename T, typename Record>
concept Of = std::same_as<std::remove_const_t<T>, Record>;

template <typename A>
void fields(A& a, Of<PciId> auto& r) {
    a.value("slot", r.slot);
    a.hex("vendor", r.vendor, 4);
    a.hex("device", r.device, 4);
    a.hex("subsystem-vendor", r.subsystem_vendor, 4);
    a.hex("subsystem-device", r.subsystem_device, 4);
    a.hex("class", r.class_code, 6);
    a.value("modalias", r.modalias);
}

template <typename A>
void fields(A& a, Of<Processors> auto& r) {
    a.value("vendor", r.vendor);
    a.value("model", r.model);
    a.value("sockets", r.sockets);
    a.value("cores", r.cores);
    a.value("threads", r.threads);
    a.value("is-64bit", r.is_64bit);
    a.words("flags", r.flags);
    a.value("signature", r.signature);
    a.count("mhz", r.mhz);
    a.count("possible", r.possible);
}

template <typename A>
void fields(A& a, Of<MemoryModule> auto& r) {
    a.value("locator", r.locator);
    a.value("size", r.size);
    a.value("type", r.type);
    a.count("mhz", r.mhz);
    a.value("manufacturer", r.manufacturer);
    a.value("part-number", r.part_number);
}

template <typename A>
void fields(A& a, Of<System> auto& r) {
    a.value("manufacturer", r.manufacturer);
    a.value("model", r.model);
    a.value("serial", r.serial);
    a.value("uuid", r.uuid);
    a.value("host-name", r.host_name);
    a.value("bios-vendor", r.bios_vendor);
    a.value("bios-version", r.bios_version);
    a.value("bios-date", r.bios_date);
    a.value("memory-bytes", r.memory_bytes);
    a.value("kernel-memory-bytes", r.kernel_memory_bytes);
    a.value("firmware", r.firmware);
    a.value("secure-boot", r.secure_boot);
    a.value("hypervisor", r.hypervisor);
    a.value("chassis", r.chassis);
    a.value("board", r.board);
    a.count("memory-limit-bytes", r.memory_limit_bytes);
    a.words("acpi-tables", r.acpi_tables);
    a.value("time-zone", r.time_zone);
    a.value("clock-is-utc", r.clock_is_utc);
    a.record("processors", r.processors);
    a.list("memory-modules", "module", r.memory_modules);
}

template <typename A>
void fields(A& a, Of<Hotfix> auto& r) {
    a.value("id", r.id);
    a.value("description", r.description);
}

template <typename A>
void fields(A& a, Of<SystemFile> auto& r) {
    a.value("path", r.path);
    a.value("version", r.version);
    a.value("original-name", r.original_name);
    a.value("language", r.language);
    a.count("size", r.size);
}

template <typename A>
void fields(A& a, Of<OperatingSystem> auto& r) {
    a.value("family", r.family);
    a.value("id", r.id);
    a.value("name", r.name);
    a.value("version", r.version);
    a.value("service-level", r.service_level);
    a.value("kernel", r.kernel);
    a.value("architecture", r.architecture);
    a.value("init", r.init);
    a.value("build", r.build);
    a.value("edition", r.edition);
    a.value("role", r.role);
    a.value("language", r.language);
    a.value("system-root", r.system_root);
    a.value("hal", r.hal);
    a.value("multiprocessor", r.multiprocessor);
    a.value("pae", r.pae);
    a.known("licence", r.licence);
    a.value("licence-evidence", r.licence_evidence);
    a.value("hibernated", r.hibernated);
    a.value("hibernation-evidence", r.hibernation_evidence);
    a.value("fast-startup", r.fast_startup);
    a.list("hotfixes", "hotfix", r.hotfixes);
    a.list("system-files", "file", r.system_files);
}

template <typename A>
void fields(A& a, Of<StorageController> auto& r) {
    a.value("id", r.id);
    a.value("kind", r.kind);
    a.value("driver", r.driver);
    a.record("pci", r.pci);
}

template <typename A>
void fields(A& a, Of<Geometry> auto& r) {
    a.value("cylinders", r.cylinders);
    a.value("heads", r.heads);
    a.value("sectors", r.sectors);
}

template <typename A>
void fields(A& a, Of<Partition> auto& r) {
    a.value("index", r.index);
    a.value("name", r.name);
    a.value("offset", r.offset);
    a.value("length", r.length);
    a.value("type", r.type);
    a.value("label", r.label);
    a.value("uuid", r.uuid);
    a.value("active", r.active);
}

template <typename A>
void fields(A& a, Of<Disk> auto& r) {
    a.value("name", r.name);
    a.value("path", r.path);
    a.value("vendor", r.vendor);
    a.value("model", r.model);
    a.value("serial", r.serial);
    a.value("wwn", r.wwn);
    a.value("firmware", r.firmware);
    a.value("size", r.size);
    a.value("logical-sector", r.logical_sector);
    a.value("physical-sector", r.physical_sector);
    a.value("controller", r.controller);
    a.value("address", r.address);
    a.value("removable", r.removable);
    a.value("read-only", r.read_only);
    a.value("rotational", r.rotational);
    a.value("table", r.table);
    a.value("disk-id", r.disk_id);
    a.known("bus", r.bus);
    a.words("member-of", r.member_of);
    a.value("multipath", r.multipath);
    a.value("san", r.san);
    a.known("health", r.health);
    a.value("health-evidence", r.health_evidence);
    a.value("io-errors", r.io_errors);
    a.record("geometry", r.geometry);
    a.list("partitions", "partition", r.partitions);
}

template <typename A>
void fields(A& a, Of<Volume> auto& r) {
    a.value("name", r.name);
    a.value("path", r.path);
    a.value("kind", r.kind);
    a.words("backing", r.backing);
    a.value("filesystem", r.filesystem);
    a.value("label", r.label);
    a.value("uuid", r.uuid);
    a.value("size", r.size);
    a.value("used", r.used);
    a.value("state", r.state);
    a.value("mounted", r.mounted);
    a.value("fstab", r.fstab_spec);
    a.value("mount-options", r.mount_options);
    a.value("detail", r.detail);
    a.value("free", r.free);
    a.count("cluster", r.cluster);
    a.value("encryption", r.encryption);
    a.value("compressed", r.compressed);
    a.value("deduplicated", r.deduplicated);
    a.value("quotas", r.quotas);
    a.value("has-errors", r.has_errors);
    a.value("last-mount-point", r.last_mount_point);
    a.value("volume-id", r.volume_id);
    a.value("boot-volume", r.boot_volume);
    a.value("system-volume", r.system_volume);
    a.value("page-file", r.page_file);
    a.texts("mount-point", r.mount_points);
}

template <typename A>
void fields(A& a, Of<IpAddress> auto& r) {
    a.value("ip", r.address);
    a.value("prefix", r.prefix);
    a.value("origin", r.origin);
}

template <typename A>
void fields(A& a, Of<NetworkAdapter> auto& r) {
    a.value("name", r.name);
    a.value("kind", r.kind);
    a.value("mac", r.mac);
    a.value("permanent-mac", r.permanent_mac);
    a.value("driver", r.driver);
    a.value("speed-mbit", r.speed_mbit);
    a.value("link", r.link);
    a.value("configuration", r.configuration);
    a.value("evidence", r.evidence);
    a.value("gateway", r.gateway);
    a.words("dns", r.dns);
    a.value("pxe-capable", r.pxe_capable);
    a.value("pxe-evidence", r.pxe_evidence);
    a.value("description", r.description);
    a.value("connection", r.connection);
    a.known("bus", r.bus);
    a.words("members", r.members);
    a.value("master", r.master);
    a.value("mode", r.mode);
    a.value("vlan", r.vlan);
    a.value("parent", r.parent);
    a.value("iscsi-boot", r.iscsi_boot);
    a.value("virtual-function", r.virtual_function);
    a.count("mtu", r.mtu);
    a.record("pci", r.pci);
    a.list("addresses", "address", r.addresses);
}

template <typename A>
void fields(A& a, Of<VideoAdapter> auto& r) {
    a.value("name", r.name);
    a.value("driver", r.driver);
    a.record("pci", r.pci);
}

template <typename A>
void fields(A& a, Of<Port> auto& r) {
    a.value("kind", r.kind);
    a.value("name", r.name);
    a.value("detail", r.detail);
}

template <typename A>
void fields(A& a, Of<OpticalDrive> auto& r) {
    a.value("name", r.name);
    a.value("path", r.path);
    a.value("model", r.model);
}

template <typename A>
void fields(A& a, Of<Service> auto& r) {
    a.value("name", r.name);
    a.value("description", r.description);
    a.value("start", r.start);
    a.value("wanted-by", r.wanted_by);
    a.value("command", r.command);
    a.value("state", r.state);
    a.value("account", r.account);
}

template <typename A>
void fields(A& a, Of<Driver> auto& r) {
    a.value("name", r.name);
    a.value("size", r.size);
    a.value("references", r.references);
    a.words("used-by", r.used_by);
    a.value("start", r.start);
    a.value("description", r.description);
    a.value("path", r.path);
    a.value("version", r.version);
    a.value("state", r.state);
}

template <typename A>
void fields(A& a, Of<AutorunProgram> auto& r) {
    a.value("name", r.name);
    a.value("command", r.command);
    a.value("source", r.source);
}

template <typename A>
void fields(A& a, Of<ConfigurationFile> auto& r) {
    a.value("path", r.path);
    a.body(r.text);
}

template <typename A>
void fields(A& a, Of<BootConfiguration> auto& r) {
    a.value("loader", r.loader);
    a.value("kernel-command-line", r.kernel_command_line);
    a.value("root", r.root);
    a.value("default-entry", r.default_entry);
    a.value("default-kernel", r.default_kernel);
    a.words("kernels", r.kernels);
    a.value("firmware-entry", r.firmware_entry);
    a.list("files", "file", r.files);
}

template <typename A>
void fields(A& a, Of<UsbDevice> auto& r) {
    a.value("address", r.address);
    a.hex("vendor", r.vendor, 4);
    a.hex("product", r.product, 4);
    a.value("manufacturer", r.manufacturer);
    a.value("name", r.name);
    a.value("driver", r.driver);
    a.words("classes", r.classes);
}

template <typename A>
void fields(A& a, Of<PciFunction> auto& r) {
    a.value("driver", r.driver);
    a.value("vendor", r.vendor);
    a.value("name", r.name);
    a.record("pci", r.id);
}

template <typename A>
void fields(A& a, Of<TapeDrive> auto& r) {
    a.value("name", r.name);
    a.value("vendor", r.vendor);
    a.value("model", r.model);
    a.value("controller", r.controller);
    a.value("address", r.address);
}

template <typename A>
void fields(A& a, Of<LogFinding> auto& r) {
    a.value("topic", r.topic);
    a.value("device", r.device);
    a.value("count", r.count);
    a.value("source", r.source);
    a.texts("line", r.lines);
}

template <typename A>
void fields(A& a, Of<Unread> auto& r) {
    a.value("what", r.what);
    a.value("why", r.why);
}

template <typename A>
void fields(A& a, Of<AddedFact> auto& r) {
    a.value("what", r.what);
    a.value("source", r.source);
}

template <typename A>
void fields(A& a, Of<Inventory> auto& r) {
    a.value("program", r.program);
    a.value("collected", r.collected);
    a.record("system", r.system);
    a.record("operating-system", r.os);
    a.list("storage-controllers", "controller", r.controllers);
    a.list("disks", "disk", r.disks);
    a.list("volumes", "volume", r.volumes);
    a.list("network", "adapter", r.network);
    a.list("video", "adapter", r.video);
    a.list("ports", "port", r.ports);
    a.list("optical", "drive", r.optical);
    a.list("services", "service", r.services);
    a.list("drivers", "driver", r.drivers);
    a.list("autorun", "program", r.autorun);
    a.record("boot", r.boot);
    a.list("usb", "device", r.usb);
    a.list("pci", "function", r.pci);
    a.list("tapes", "drive", r.tapes);
    a.list("log", "finding", r.log);
    a.texts("modalias", r.modaliases);
    a.list("unread", "item", r.unread);
    a.list("added", "fact", r.added);
}

}  // namespace slipway::gatherhw
