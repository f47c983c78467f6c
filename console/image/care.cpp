// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image verify|delete|gc` on a store in a directory.
#include "console/image/image.hpp"
#include "console/image_server.hpp"
#include "imagestore/store.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;
using namespace slipway::imagestore;

Result<ExitCode> verify(const std::string& directory, bool heal, const Context& context) {
    auto store = TRY(open_store(directory));
    auto r = TRY(store->verify(progress_printer(context), &cancel_flag()));
    json::array hurt, damaged(r.damaged.begin(), r.damaged.end());
    std::string text = fmt::format("{} packs, {} chunks, {} read, {} images: {}\n", r.packs, r.chunks,
                                   human_bytes(r.bytes), r.images, r.ok() ? "all well" : "DAMAGED");
    for (const auto& d : r.damaged) text += "damaged: " + d + "\n";
    for (const auto& h : r.hurt) {
        text += fmt::format("hurt: {} ({})\n", h.image,
                            h.reason.empty() ? fmt::format("{} chunks", h.missing_chunks) : h.reason);
        hurt.push_back({{"image", h.image}, {"missing_chunks", h.missing_chunks}, {"reason", h.reason}});
    }
    if (heal && !r.damaged_packs.empty()) {
        auto healed = TRY(store->heal(r.damaged_packs));
        text += fmt::format(
            "set aside {} damaged packs: {} chunks kept, {} lost; capture the machines of the hurt images again\n",
            healed.packs, healed.chunks_kept, healed.chunks_lost);
    }
    context.print(text, {{"ok", r.ok()},
                         {"packs", r.packs},
                         {"chunks", r.chunks},
                         {"bytes", r.bytes},
                         {"damaged", damaged},
                         {"hurt", hurt}});
    return r.ok() ? kExitDone : kExitFailed;
}

Result<ExitCode> remove(const std::string& directory, const std::string& name, const Context& context) {
    auto store = TRY(open_store(directory));
    auto removed = TRY(store->remove(TRY(ImageRef::parse(name))));
    std::string text;
    json::array items;
    for (const auto& version : removed) {
        text += "deleted " + version.text() + " (its space comes back by `slipway image gc`)\n";
        items.push_back(json::string(version.text()));
    }
    context.print(text, {{"deleted", items}});
    return kExitDone;
}

Result<ExitCode> collect(const std::string& directory, bool dry_run, const Context& context) {
    auto store = TRY(open_store(directory));
    GcOptions options;
    options.dry_run = dry_run;
    auto r = TRY(store->gc(options, context.clock));
    context.print(
        fmt::format("{}{} freed: {} packs removed, {} rewritten; {} too young to touch\n", dry_run ? "would be: " : "",
                    human_bytes(r.bytes_freed), r.packs_removed, r.packs_rewritten, r.packs_young),
        {{"bytes_freed", r.bytes_freed},
         {"packs_removed", r.packs_removed},
         {"packs_rewritten", r.packs_rewritten},
         {"packs_young", r.packs_young},
         {"chunks_removed", r.chunks_removed}});
    return kExitDone;
}

}  // namespace

void add_image_care(CLI::App& image, Context& context) {
    auto store = std::make_shared<std::string>(), name = std::make_shared<std::string>();
    auto dry = std::make_shared<bool>(false), heal = std::make_shared<bool>(false);
    add_store_command(
        image, context, {"verify", "Read every pack, check every chunk and manifest", nullptr}, *store,
        [=, &context] { return verify(*store, *heal, context); }, nullptr)
        ->add_flag("--heal", *heal, "set damaged packs aside, so that the next capture sends what they lost");
    add_store_command(
        image, context, {"delete", "Delete a version, or all of a name", name.get()}, *store,
        [=, &context] { return remove(*store, *name, context); },
        [=, &context] { return server_image_delete(*name, context); });
    add_store_command(
        image, context, {"gc", "Free the space of what no image names", nullptr}, *store,
        [=, &context] { return collect(*store, *dry, context); }, nullptr)
        ->add_flag("--dry-run", *dry, "say what would be freed");
}

}  // namespace slipway::console
