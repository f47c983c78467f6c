// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image list|show` on a store in a directory; of the server's, the server tells.
#include "console/image/image.hpp"
#include "console/image/place.hpp"
#include "console/image_server.hpp"
#include "console/table.hpp"
#include "imagestore/open_image.hpp"
#include "imagestore/selection.hpp"
#include "imagestore/store.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/luks/unlock.hpp"

namespace slipway::console {

namespace json = boost::json;
using namespace slipway::imagestore;

json::object describe_volume(const VolumeInfo& v) {
    return {{"partition", v.partition},
            {"filesystem", v.filesystem},
            {"label", v.label},
            {"uuid", v.uuid},
            {"length", v.length},
            {"used", v.used},
            {"every_sector", v.every_sector},
            {"excluded", v.excluded},
            {"state", std::string(name_of(v.state))},
            {"note", v.note}};
}

namespace {

json::value describe(const ManifestSummary& image, const std::string& name) {
    json::array disks;
    for (const auto& d : image.disks) {
        json::array volumes;
        for (const auto& v : d.volumes) volumes.push_back(describe_volume(v));
        json::array losses, partitions;
        for (const auto& l : d.losses)
            losses.push_back(
                {{"offset", l.offset}, {"length", l.length}, {"place", describe_loss(d.disk.name, d.volumes, l)}});
        for (const auto& p : d.partitions)
            partitions.push_back({{"number", p.number},
                                  {"offset", p.offset},
                                  {"length", p.length},
                                  {"type", p.type},
                                  {"name", p.name},
                                  {"uuid", p.uuid}});
        disks.push_back({{"name", d.disk.name},
                         {"serial", d.disk.serial},
                         {"size", d.disk.size},
                         {"sector_size", d.disk.sector_size},
                         {"table", std::string(name_of(d.disk.table))},
                         {"table_id", d.disk.table_id},
                         {"data_chunks", d.data_chunks},
                         {"losses", losses},
                         {"partitions", partitions},
                         {"volumes", volumes}});
    }
    return {{"image", name},
            {"created", iso8601(from_unix_milliseconds(static_cast<std::int64_t>(image.image.created_ms)))},
            {"source", image.image.source},
            {"writer", image.image.writer},
            {"inconsistent", image.image.inconsistent},
            {"disks", disks}};
}

// What a deploy of it would refuse or complain of.
std::string note_of(const ManifestSummary& image) {
    std::size_t losses = 0;
    for (const auto& d : image.disks) losses += d.losses.size();
    if (image.image.inconsistent) return "inconsistent: only a --base";
    return losses ? fmt::format("{} ranges lost", losses) : "";
}

Result<ExitCode> list(const std::string& directory, const Context& context) {
    auto store = TRY(open_store(directory));
    Table table({"IMAGE", "CREATED", "SOURCE", "DISKS", "SIZE", "DATA", "NOTE"});
    json::array items;
    for (const auto& version : TRY(store->images())) {
        auto manifest = TRY(store->manifest(TRY(ImageRef::parse(version.text()))));
        auto image = summarize(*manifest);
        if (!image) {
            table.row({version.text(), "", "", "", "", "", "damaged: " + image.error().message()});
            items.push_back({{"image", version.text()}, {"damaged", image.error().describe()}});
            continue;
        }
        std::uint64_t size = 0, data = 0;
        for (const auto& d : image->disks) {
            size += d.disk.size;
            data += d.data_chunks * kChunkBytes;
        }
        table.row({version.text(), iso8601(from_unix_milliseconds(static_cast<std::int64_t>(image->image.created_ms))),
                   image->image.source, std::to_string(image->disks.size()), human_bytes(size), human_bytes(data),
                   note_of(*image)});
        items.push_back(describe(*image, version.text()));
    }
    context.print(table.text(), {{"items", items}});
    return kExitDone;
}

// "sda2" for what the mount calls 0p2.
std::string spoken_name(const OpenImage& image, const OpenVolume& volume) {
    if (!volume.kind.empty()) return volume.name;
    for (const auto& d : image.summary().disks)
        for (const auto& v : d.volumes)
            if (volume.name ==
                (v.partition ? fmt::format("{}p{}", d.disk.index, v.partition) : std::to_string(d.disk.index)))
                return partition_name(d.disk.name, v.partition);
    return volume.name;
}

json::array describe_inside(const OpenImage& image) {
    json::array out;
    for (const auto& v : image.volumes()) {
        if (v.kind.empty()) continue;
        json::array on;
        for (auto member : v.members) on.emplace_back(spoken_name(image, image.volumes()[member]));
        out.push_back({{"name", v.name},
                       {"kind", v.kind},
                       {"on", on},
                       {"filesystem", v.volume.filesystem},
                       {"label", v.volume.label},
                       {"uuid", v.volume.uuid},
                       {"length", v.volume.length},
                       {"used", v.volume.used},
                       {"state", std::string(name_of(v.volume.state))},
                       {"note", v.volume.note}});
    }
    return out;
}

std::string inside_text(const OpenImage& image) {
    Table table({"INSIDE", "KIND", "ON", "FILE SYSTEM", "LABEL", "SIZE", "USED", "STATE", "NOTE"});
    bool any = false;
    for (const auto& v : image.volumes()) {
        if (v.kind.empty()) continue;
        any = true;
        std::vector<std::string> on;
        for (auto member : v.members) on.push_back(spoken_name(image, image.volumes()[member]));
        table.row({v.name, v.kind, join(on, ", "), v.volume.filesystem.empty() ? "-" : v.volume.filesystem,
                   v.volume.label, human_bytes(v.volume.length), human_bytes(v.volume.used),
                   std::string(name_of(v.volume.state)), v.volume.note});
    }
    return any ? "\n" + table.text() : std::string();
}

std::string disk_text(const DiskSummary& d) {
    auto text =
        fmt::format("\n{}  {}  {} table {}  serial {}\n", printable(d.disk.name), human_bytes(d.disk.size),
                    name_of(d.disk.table), d.disk.table_id, d.disk.serial.empty() ? "-" : printable(d.disk.serial));
    Table volumes({"PARTITION", "FILE SYSTEM", "LABEL", "SIZE", "TAKEN", "STATE", "NOTE"});
    for (const auto& v : d.volumes)
        volumes.row({std::to_string(v.partition), v.filesystem.empty() ? "-" : v.filesystem, v.label,
                     human_bytes(v.length), human_bytes(v.used), std::string(name_of(v.state)), v.note});
    text += volumes.text();
    for (const auto& l : d.losses)
        text += "LOST at the source, zero here: " + describe_loss(d.disk.name, d.volumes, l) + "\n";
    return text;
}

struct ShowArguments {
    PlaceName place;
    std::string name;
    std::vector<std::string> luks_keys;
    bool versions = false;
};

Result<ExitCode> show(const ShowArguments& a, const Context& context) {
    auto store = TRY(open_store(a.place.store));
    auto manifest = TRY(store->manifest(TRY(ImageRef::parse(a.name))));
    auto keys = TRY(read_luks_keys(a.luks_keys));
    auto opened = TRY(OpenImage::create(*manifest, *store, {16, keys.get()}));
    const auto& image = opened->summary();
    auto full = manifest->version().text();
    std::string text = fmt::format("{}  taken {} from {} by {}\n", full,
                                   iso8601(from_unix_milliseconds(static_cast<std::int64_t>(image.image.created_ms))),
                                   printable(image.image.source), printable(image.image.writer));
    if (image.image.inconsistent)
        text += "INCONSISTENT: taken from a running system; good only as --base of a capture at rest\n";
    for (const auto& d : image.disks) text += disk_text(d);
    text += inside_text(*opened);
    for (const auto& warning : opened->warnings()) text += "not looked into: " + printable(warning) + "\n";
    auto value = describe(image, full);
    value.as_object()["inside"] = describe_inside(*opened);
    value.as_object()["not_looked_into"] = json::array(opened->warnings().begin(), opened->warnings().end());
    context.print(text, value);
    return kExitDone;
}

}  // namespace

void add_image_views(CLI::App& image, Context& context) {
    auto place = std::make_shared<PlaceName>();
    add_store_command(
        image, context, {"list", "The images and their versions", nullptr}, *place,
        [=, &context] { return list(place->store, context); },
        [=, &context] { return server_image_list(place->server, context); });
    auto a = std::make_shared<ShowArguments>();
    auto* app = add_store_command(
        image, context, {"show", "One image: disks, volumes and what lies inside them, what was taken", &a->name},
        a->place,
        [=, &context] { return a->versions ? show_versions(a->place.store, a->name, context) : show(*a, context); },
        [=, &context] { return server_image_show(a->place.server, a->name, context); });
    app->add_flag("--versions", a->versions, "all versions of the name, and what each brought");
    add_luks_key_option(*app, a->luks_keys, "what lies inside it is shown too")->needs("--store");
}

}  // namespace slipway::console
