// SPDX-License-Identifier: GPL-3.0-or-later
// Versions of an image: what each brought (`show --versions`), what differs (`diff`), and going back (`rollback`).
#include <map>

#include "console/errors.hpp"
#include "console/image/image.hpp"
#include "console/image/place.hpp"
#include "console/table.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/image_diff.hpp"
#include "imagestore/new_chunks.hpp"
#include "imagestore/store.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;
using namespace slipway::imagestore;

std::string time_text(std::uint64_t ms) { return iso8601(from_unix_milliseconds(static_cast<std::int64_t>(ms))); }

Result<std::vector<ImageVersion>> versions_of(const Store& store, const std::string& name) {
    auto all = TRY(store.images());
    std::erase_if(all, [&](const auto& version) { return version.name != name; });
    if (all.empty()) return make_error(imagestore::errors::kNoImage, "no image {}", name);
    return all;
}

// ---- show --versions

struct VersionRow {
    ImageVersion version;
    std::string same_as;  // an earlier version with this very manifest: rolled back to
    std::string damaged;
    ManifestSummary image;
    NewChunks fresh;
};

class VersionLister {
public:
    explicit VersionLister(Store& store) : store_(store) {}

    Result<VersionRow> look_at(const ImageVersion& version) {
        VersionRow row{version, {}, {}, {}, {}};
        auto manifest = TRY(store_.manifest({version.name, version.version}));
        auto image = summarize(*manifest);
        if (!image) {
            row.damaged = image.error().describe();
            return row;
        }
        row.image = std::move(*image);
        Digest digest;
        TRY(manifest->read(manifest->size() - digest.octets.size(), digest.octets));
        auto [first, fresh] = seen_.try_emplace(digest, version.text());
        if (!fresh) row.same_as = first->second;
        auto own = TRY(ChunkSet::of(*manifest));
        row.fresh = TRY(count_new(*manifest, own, before_, store_));
        before_ = std::move(own);
        return row;
    }

private:
    Store& store_;
    ChunkSet before_;
    std::map<Digest, std::string> seen_;
};

std::string note_of(const VersionRow& row) {
    std::vector<std::string> out;
    if (!row.damaged.empty()) out.push_back("damaged: " + row.damaged);
    if (!row.same_as.empty()) out.push_back("the same as " + row.same_as);
    if (row.image.image.inconsistent) out.push_back("inconsistent");
    for (const auto& disk : row.image.disks)
        if (!disk.losses.empty()) out.push_back(fmt::format("{}: {} ranges lost", disk.disk.name, disk.losses.size()));
    return join(out, "; ");
}

}  // namespace

Result<ExitCode> show_versions(const std::string& directory, const std::string& name, const Context& context) {
    auto store = TRY(Store::open(directory));
    auto ref = TRY(ImageRef::parse(name));
    Table table({"VERSION", "TAKEN", "SIZE", "DATA", "NEW", "STORED", "NOTE"});
    json::array items;
    VersionLister lister(*store);
    for (const auto& version : TRY(versions_of(*store, ref.name))) {
        auto row = TRY(lister.look_at(version));
        std::uint64_t size = 0, data = 0;
        for (const auto& disk : row.image.disks) {
            size += disk.disk.size;
            data += disk.data_chunks * kChunkBytes;
        }
        auto taken = time_text(row.image.image.created_ms);
        if (row.damaged.empty())
            table.row({version.text(), taken, human_bytes(size), human_bytes(data), human_bytes(row.fresh.bytes),
                       human_bytes(row.fresh.stored_bytes), note_of(row)});
        else table.row({version.text(), "", "", "", "", "", note_of(row)});
        items.push_back({{"image", version.text()},
                         {"created", row.damaged.empty() ? json::value(taken) : json::value()},
                         {"disk_bytes", size},
                         {"data_bytes", data},
                         {"new_chunks", row.fresh.chunks},
                         {"new_bytes", row.fresh.bytes},
                         {"new_stored_bytes", row.fresh.stored_bytes},
                         {"manifest_bytes", version.manifest_bytes},
                         {"same_as", row.same_as},
                         {"damaged", row.damaged}});
    }
    context.print(table.text(), {{"name", ref.name}, {"versions", items}});
    return kExitDone;
}

namespace {

// ---- diff

json::object to_json(const DiffBytes& b) {
    return {{"changed_bytes", b.changed}, {"added_bytes", b.added}, {"removed_bytes", b.removed}};
}

json::value to_json(const ImageDiff& diff, const std::string& a, const std::string& b) {
    json::array disks;
    for (const auto& d : diff.disks) {
        json::array volumes;
        for (const auto& v : d.volumes) {
            auto item = to_json(v.bytes);
            item["partition"] = v.volume.partition;
            item["presence"] = std::string(name_of(v.presence));
            item["filesystem"] = v.volume.filesystem;
            item["label"] = v.volume.label;
            item["length"] = v.volume.length;
            item["moved"] = v.moved;
            item["resized"] = v.resized;
            item["reformatted"] = v.reformatted;
            volumes.push_back(std::move(item));
        }
        auto item = to_json(d.bytes);
        item["disk"] = d.disk.index;
        item["name"] = d.disk.name;
        item["serial"] = d.disk.serial;
        item["presence"] = std::string(name_of(d.presence));
        item["size"] = d.disk.size;
        item["old_size"] = d.old_size;
        item["same_chunks"] = d.same_chunks;
        item["table_changes"] = json::array(d.table.begin(), d.table.end());
        item["volumes"] = std::move(volumes);
        disks.push_back(std::move(item));
    }
    auto out = to_json(diff.bytes());
    out["a"] = a;
    out["b"] = b;
    out["same"] = diff.same();
    out["disks"] = std::move(disks);
    return out;
}

std::string remarks(const VolumeDiff& v) {
    std::vector<std::string> out;
    if (v.presence != Presence::Both) out.emplace_back(name_of(v.presence));
    if (v.moved) out.emplace_back("moved");
    if (v.resized) out.emplace_back("resized");
    if (v.reformatted) out.emplace_back("made anew");
    return join(out, ", ");
}

std::string text_of(const ImageDiff& diff, const std::string& a, const std::string& b) {
    auto total = diff.bytes();
    auto out = fmt::format(
        "{} to {}: {}\n", a, b,
        diff.same() ? "no difference"
                    : fmt::format("{} changed, {} added, {} removed (by whole MiB)", human_bytes(total.changed),
                                  human_bytes(total.added), human_bytes(total.removed)));
    for (const auto& d : diff.disks) {
        out += fmt::format("\n{}  {}", printable(d.disk.name), human_bytes(d.disk.size));
        if (d.presence != Presence::Both) out += fmt::format("  {}", name_of(d.presence));
        else if (d.old_size != d.disk.size) out += fmt::format("  (was {})", human_bytes(d.old_size));
        out += fmt::format("  {} changed, {} added, {} removed\n", human_bytes(d.bytes.changed),
                           human_bytes(d.bytes.added), human_bytes(d.bytes.removed));
        for (const auto& line : d.table) out += "  " + printable(line) + "\n";
        if (d.volumes.empty()) continue;
        Table table({"PARTITION", "FILE SYSTEM", "LABEL", "SIZE", "CHANGED", "ADDED", "REMOVED", "NOTE"});
        for (const auto& v : d.volumes)
            table.row({std::to_string(v.volume.partition), v.volume.filesystem.empty() ? "-" : v.volume.filesystem,
                       v.volume.label, human_bytes(v.volume.length), human_bytes(v.bytes.changed),
                       human_bytes(v.bytes.added), human_bytes(v.bytes.removed), remarks(v)});
        out += table.text();
    }
    return out;
}

struct DiffArguments {
    PlaceName place;
    std::string a, b;
};

Result<ExitCode> diff(const DiffArguments& arguments, const Context& context) {
    auto place = TRY(open_place(arguments.place));
    auto first = TRY(place->image(TRY(ImageRef::parse(arguments.a))));
    PlacedImage second;
    if (!arguments.b.empty()) {
        second = TRY(place->image(TRY(ImageRef::parse(arguments.b))));
    } else {
        std::uint32_t before = 0;
        for (const auto& version : TRY(place->versions(first.version.name)))
            if (version.version < first.version.version) before = version.version;
        if (before == 0)
            return make_error(imagestore::errors::kNoEarlier, "there is no version before {}", first.version.text());
        second = std::move(first);
        first = TRY(place->image({second.version.name, before}));
    }
    auto a = first.version.text(), b = second.version.text();
    auto was = TRY_WITH(ImageMap::create(*first.manifest), a);
    auto is = TRY_WITH(ImageMap::create(*second.manifest), b);
    auto result = TRY(diff_images(was, is));
    context.print(text_of(result, a, b), to_json(result, a, b));
    return kExitDone;
}

// ---- rollback

Result<ExitCode> rollback(const PlaceName& name_of_place, const std::string& name, const Context& context) {
    auto ref = TRY(ImageRef::parse(name));
    if (ref.version == 0) return make_error(errors::kUsage, "say which version to go back to: {}@NUMBER", ref.name);
    auto place = TRY(open_place(name_of_place));
    auto image = TRY(place->image(ref));
    auto newest = TRY(place->versions(ref.name)).back();
    auto created = TRY(summarize(*image.manifest)).image.created_ms;
    auto sink = TRY(place->sink(ref.name, false));
    auto done = TRY(sink->commit(ref.name, *image.manifest));
    if (!done.missing.empty())
        return make_error(imagestore::errors::kChunkMissing, "{} lacks {} of its chunks", ref.text(),
                          done.missing.size());
    auto now = ImageRef{ref.name, done.version}.text();
    bool already = done.version == newest.version;
    context.print(already ? fmt::format("{} is what the newest version, {}, has already\n", ref.text(), now)
                          : fmt::format("{} is now what {} is, taken {}\n", now, ref.text(), time_text(created)),
                  {{"image", now}, {"from", ref.text()}, {"created", time_text(created)}, {"changed", !already}});
    return kExitDone;
}

}  // namespace

void add_image_versions(CLI::App& image, Context& context) {
    auto a = std::make_shared<DiffArguments>();
    auto* app = add_command(image, context, "diff",
                            "What differs between two images or versions, by disk and volume, in whole MiB",
                            "  slipway image diff web --store /srv/store\n"
                            "  slipway image diff web@1 web@3 --store /srv/store --json\n");
    app->add_option("a", a->a, "NAME or NAME@VERSION; alone: it is compared with the version before it")->required();
    app->add_option("b", a->b, "the later one");
    add_place_options(*app, a->place);
    on_command(*app, context, [a, &context] { return diff(*a, context); });

    auto name = std::make_shared<std::string>();
    auto place = std::make_shared<PlaceName>();
    app = add_command(image, context, "rollback",
                      "Make an earlier version the newest: it becomes the next version, at no cost; none is lost",
                      "  slipway image rollback web@2 --store /srv/store\n");
    app->add_option("name", *name, "NAME@VERSION")->required();
    add_place_options(*app, *place);
    on_command(*app, context, [=, &context] { return rollback(*place, *name, context); });
}

}  // namespace slipway::console
