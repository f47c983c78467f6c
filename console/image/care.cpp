// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image verify|delete|gc` on a store in a directory, or the server's.
#include <map>
#include <optional>

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

constexpr const char* kHealHint =
    "`slipway image verify --heal --store DIR` sets damaged packs aside, so that the next capture of the machines "
    "whose "
    "images are hurt sends what was lost";

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
    } else if (!r.damaged_packs.empty()) {
        text += std::string("next: ") + kHealHint + "\n";
        document.as_object()["next_step"] = kHealHint;
    }
    context.print(text, document);
    return r.ok() ? kExitDone : kExitFailed;
}

Result<ExitCode> server_verify(const std::string& server, bool heal, const Context& context) {
    if (heal)
        return make_error(errors::kUsage, "--heal changes packs under a server that runs: stop it, then --store DIR");
    auto document = TRY(server_store_work(server, "verify", json::object(), context));
    auto text = verify_text(document);
    if (!is_ok(document)) text += std::string("next: stop the server; then ") + kHealHint + "\n";
    context.print(text, document);
    return is_ok(document) ? kExitDone : kExitFailed;
}

struct DeleteArguments {
    PlaceName place;
    std::string name;
    bool all_versions = false;
};

// A name alone means the version that is there, not all there ever were.
Status check_delete(const DeleteArguments& a) {
    auto ref = TRY(ImageRef::parse(a.name));
    if (ref.version && a.all_versions)
        return make_error(errors::kUsage, "{} is one version: leave out --all-versions, or the @{}", a.name,
                          ref.version);
    if (ref.version || a.all_versions) return {};
    auto versions = TRY(TRY(open_place(a.place))->versions(ref.name));
    if (versions.size() < 2) return {};
    return make_error(errors::kManyVersions, "{} has {} versions, {} to {}; nothing was deleted", ref.name,
                      versions.size(), versions.front().text(), versions.back().text());
}

Result<ExitCode> remove(const DeleteArguments& a, const Context& context) {
    TRY(check_delete(a));
    auto store = TRY(open_store(a.place.store));
    auto removed = TRY(store->remove(TRY(ImageRef::parse(a.name))));
    std::string text;
    json::array items;
    for (const auto& version : removed) {
        text += "deleted " + version.text() + " (its space comes back by `slipway image gc`)\n";
        items.push_back(json::string(version.text()));
    }
    context.print(text, {{"deleted", items}});
    return kExitDone;
}

Result<ExitCode> remove_from_server(const DeleteArguments& a, const Context& context) {
    TRY(check_delete(a));
    return server_image_delete(a.place.server, a.name, context);
}

void add_image_delete(CLI::App& image, Context& context) {
    auto a = std::make_shared<DeleteArguments>();
    add_store_command(
        image, context, {"delete", "Delete a version of an image, or with --all-versions all of a name", &a->name},
        a->place, [a, &context] { return remove(*a, context); },
        [a, &context] { return remove_from_server(*a, context); })
        ->add_flag("--all-versions", a->all_versions, "of a name that has several: delete all of them");
}

struct GcArguments {
    PlaceName place;
    bool dry_run = false;
    std::optional<std::uint64_t> grace;  // seconds
};

void print_gc(const json::value& r, const GcArguments& a, const Context& context) {
    auto grace = a.grace ? human_duration(*a.grace) : "24 hours";
    context.print(
        fmt::format("{}{} freed: {} packs removed, {} rewritten; {} were used within {} and are left for a later gc, "
                    "since a running capture may count on them\n",
                    a.dry_run ? "would be: " : "", human_bytes(number_at(r, "bytes_freed")),
                    number_at(r, "packs_removed"), number_at(r, "packs_rewritten"), number_at(r, "packs_young"), grace),
        r);
}

Result<ExitCode> collect(const GcArguments& a, const Context& context) {
    auto store = TRY(open_store(a.place.store));
    GcOptions options;
    options.dry_run = a.dry_run;
    if (a.grace) options.grace = std::chrono::seconds(*a.grace);
    auto r = TRY(store->gc(options, context.clock));
    print_gc({{"bytes_freed", r.bytes_freed},
              {"packs_removed", r.packs_removed},
              {"packs_rewritten", r.packs_rewritten},
              {"packs_young", r.packs_young},
              {"chunks_removed", r.chunks_removed}},
             a, context);
    return kExitDone;
}

Result<ExitCode> server_collect(const GcArguments& a, const Context& context) {
    if (a.grace)
        return make_error(errors::kUsage, "a server's store keeps its grace of 24 hours: --grace goes with --store");
    print_gc(TRY(server_store_work(a.place.server, "gc", json::object{{"dry_run", a.dry_run}}, context)), a, context);
    return kExitDone;
}

void add_image_gc(CLI::App& image, Context& context) {
    auto a = std::make_shared<GcArguments>();
    auto* app = add_store_command(
        image, context, {"gc", "Free the space of what no image names", nullptr}, a->place,
        [a, &context] { return collect(*a, context); }, [a, &context] { return server_collect(*a, context); });
    app->add_flag("--dry-run", a->dry_run, "say what would be freed");
    const std::map<std::string, std::uint64_t> units{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    app->add_option(
           "--grace", a->grace,
           "leave what was used more recently than this alone: 90s, 30m, 12h, 7d (24h unless given). Shorter than "
           "the longest capture under way, it makes that one fail and be started again")
        ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME"))
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{366} * 86400));
}

}  // namespace

void add_image_care(CLI::App& image, Context& context) {
    auto place = std::make_shared<PlaceName>();
    auto heal = std::make_shared<bool>(false);
    add_store_command(
        image, context, {"verify", "Read every pack, check every chunk and manifest", nullptr}, *place,
        [=, &context] { return verify(place->store, *heal, context); },
        [=, &context] { return server_verify(place->server, *heal, context); })
        ->add_flag("--heal", *heal, "set damaged packs aside, so that the next capture sends what they lost");
    add_image_delete(image, context);
    add_image_gc(image, context);
}

}  // namespace slipway::console
