// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/image_server.hpp"

#include "console/errors.hpp"
#include "console/rest_client.hpp"
#include "console/table.hpp"
#include "imagestore/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

std::string versions_text(const boost::json::value& image) {
    Table table({"IMAGE", "CREATED", "SIZE", "USED", "DISKS"});
    for (const auto& v : array_at(image, "versions"))
        table.row({text_at(image, "name") + "@" + std::to_string(number_at(v, "version")), text_at(v, "created"),
                   human_bytes(number_at(v, "disk_bytes")), human_bytes(number_at(v, "used_bytes")),
                   std::to_string(array_at(v, "disks").size())});
    return table.text();
}

}  // namespace

Result<ExitCode> server_image_list(const std::string& server, const Context& context) {
    auto client = TRY(RestClient::open(server));
    auto images = TRY(client.get("/images"));
    Table table({"IMAGE", "VERSIONS", "NEWEST", "SIZE"});
    for (const auto& image : array_at(images, "items")) {
        const auto& versions = array_at(image, "versions");
        auto newest = versions.empty() ? boost::json::value() : versions.back();
        table.row({text_at(image, "name"), std::to_string(versions.size()), text_at(newest, "created"),
                   human_bytes(number_at(newest, "disk_bytes"))});
    }
    context.print(table.text(), images);
    return kExitDone;
}

Result<ExitCode> server_image_show(const std::string& server, const std::string& name, const Context& context) {
    auto client = TRY(RestClient::open(server));
    auto image = TRY(client.get("/images/" + segment(name)));
    context.print(versions_text(image), image);
    return kExitDone;
}

Result<ExitCode> server_image_delete(const std::string& server, const std::string& name, const Context& context) {
    auto client = TRY(RestClient::open(server));
    TRY(client.remove("/images/" + segment(name)));
    context.print("deleted " + name + "\n", {{"deleted", name}});
    return kExitDone;
}

Result<boost::json::value> server_store_work(const std::string& server, const std::string& what,
                                             const boost::json::value& options, const Context& context) {
    auto client = TRY(RestClient::open(server));
    auto id = text_at(TRY(client.post("/store/" + what, options)), "id");
    if (id.empty()) return make_error(errors::kBadAnswer, "the server named no work");
    auto path = "/store/work/" + segment(id);
    auto progress = progress_printer(context);
    for (;;) {
        auto work = TRY(client.get(path + "?wait=1"));
        auto state = text_at(work, "state");
        const auto* now = member(work, "progress");
        if (progress && now) progress({number_at(*now, "done"), number_at(*now, "total"), text_at(*now, "what")});
        const auto* result = member(work, "result");
        if (state == "done" && result) return *result;
        const auto* error = member(work, "error");
        if (state == "failed" && error)
            return Error(text_at(*error, "name"), text_at(*error, "message"), text_at(*error, "next_step"), false);
        if (state != "running") return make_error(errors::kBadAnswer, "{} is in state '{}'", what, state);
        if (cancel_flag()) {
            TRY(client.remove(path));
            return make_error(imagestore::errors::kCancelled, "{} was cancelled", what);
        }
    }
}

}  // namespace slipway::console
