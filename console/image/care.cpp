// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image verify|delete|gc` on a store in a directory, or the server's.
#include "console/errors.hpp"
#include "console/image/image.hpp"
#include "console/image/place.hpp"
#include "console/image_server.hpp"
#include "console/rest_client.hpp"
#include "imagestore/store.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;
using namespace slipway::imagestore;

bool is_ok(const json::value& verified) {
    const auto* ok = member(verified, "ok");
    return ok && ok->is_bool() && ok->get_bool();
}

// What is said of a verify and of a gc, from the document that --json prints: the same for a directory and a server.
std::string verify_text(const json::value& r) {
    bool ok = is_ok(r);
    auto text =
        fmt::format("{} packs, {} chunks, {} read, {} images: {}\n", number_at(r, "packs"), number_at(r, "chunks"),
                    human_bytes(number_at(r, "bytes")), number_at(r, "images"), ok ? "all well" : "DAMAGED");
    for (const auto& d : array_at(r, "damaged"))
        if (d.is_string()) text += "damaged: " + printable(std::string_view(d.get_string())) + "\n";
    for (const auto& h : array_at(r, "hurt")) {
        auto reason = text_at(h, "reason");
        text += fmt::format("hurt: {} ({})\n", printable(text_at(h, "image")),
                            reason.empty() ? fmt::format("{} chunks", number_at(h, "missing_chunks")) : reason);
    }
    return text;
}

Result<ExitCode> verify(const std::string& directory, bool heal, const Context& context) {
    auto store = TRY(open_store(directory));
    auto r = TRY(store->verify(progress_printer(context), &cancel_flag()));
    json::array hurt, damaged(r.damaged.begin(), r.damaged.end());
    for (const auto& h : r.hurt)
        hurt.push_back({{"image", h.image}, {"missing_chunks", h.missing_chunks}, {"reason", h.reason}});
    json::value document{{"ok", r.ok()},       {"packs", r.packs},   {"chunks", r.chunks}, {"bytes", r.bytes},
                         {"images", r.images}, {"damaged", damaged}, {"hurt", hurt}};
    auto text = verify_text(document);
    if (heal && !r.damaged_packs.empty()) {
        auto healed = TRY(store->heal(r.damaged_packs));
        text += fmt::format(
            "set aside {} damaged packs: {} chunks kept, {} lost; capture the machines of the hurt images again\n",
            healed.packs, healed.chunks_kept, healed.chunks_lost);
    }
    context.print(text, document);
    return r.ok() ? kExitDone : kExitFailed;
}

Result<ExitCode> server_verify(const std::string& server, bool heal, const Context& context) {
    if (heal)
        return make_error(errors::kUsage, "--heal changes packs under a server that runs: stop it, then --store DIR");
    auto document = TRY(server_store_work(server, "verify", json::object(), context));
    context.print(verify_text(document), document);
    return is_ok(document) ? kExitDone : kExitFailed;
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

void print_gc(const json::value& r, bool dry_run, const Context& context) {
    context.print(
        fmt::format("{}{} freed: {} packs removed, {} rewritten; {} were used within 24 hours and are left for a later "
                    "gc, since a running capture may count on them\n",
                    dry_run ? "would be: " : "", human_bytes(number_at(r, "bytes_freed")),
                    number_at(r, "packs_removed"), number_at(r, "packs_rewritten"), number_at(r, "packs_young")),
        r);
}

Result<ExitCode> collect(const std::string& directory, bool dry_run, const Context& context) {
    auto store = TRY(open_store(directory));
    GcOptions options;
    options.dry_run = dry_run;
    auto r = TRY(store->gc(options, context.clock));
    print_gc({{"bytes_freed", r.bytes_freed},
              {"packs_removed", r.packs_removed},
              {"packs_rewritten", r.packs_rewritten},
              {"packs_young", r.packs_young},
              {"chunks_removed", r.chunks_removed}},
             dry_run, context);
    return kExitDone;
}

Result<ExitCode> server_collect(const std::string& server, bool dry_run, const Context& context) {
    print_gc(TRY(server_store_work(server, "gc", json::object{{"dry_run", dry_run}}, context)), dry_run, context);
    return kExitDone;
}

}  // namespace

void add_image_care(CLI::App& image, Context& context) {
    auto place = std::make_shared<PlaceName>();
    auto name = std::make_shared<std::string>();
    auto dry = std::make_shared<bool>(false), heal = std::make_shared<bool>(false);
    add_store_command(
        image, context, {"verify", "Read every pack, check every chunk and manifest", nullptr}, *place,
        [=, &context] { return verify(place->store, *heal, context); },
        [=, &context] { return server_verify(place->server, *heal, context); })
        ->add_flag("--heal", *heal, "set damaged packs aside, so that the next capture sends what they lost");
    add_store_command(
        image, context, {"delete", "Delete a version, or all of a name", name.get()}, *place,
        [=, &context] { return remove(place->store, *name, context); },
        [=, &context] { return server_image_delete(place->server, *name, context); });
    add_store_command(
        image, context, {"gc", "Free the space of what no image names", nullptr}, *place,
        [=, &context] { return collect(place->store, *dry, context); },
        [=, &context] { return server_collect(place->server, *dry, context); })
        ->add_flag("--dry-run", *dry, "say what would be freed");
}

}  // namespace slipway::console
