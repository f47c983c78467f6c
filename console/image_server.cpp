// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/image_server.hpp"

#include "console/rest_client.hpp"
#include "console/table.hpp"
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

Result<ExitCode> server_image_list(const Context& context) {
    auto client = TRY(RestClient::open());
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

Result<ExitCode> server_image_show(const std::string& name, const Context& context) {
    auto client = TRY(RestClient::open());
    auto image = TRY(client.get("/images/" + segment(name)));
    context.print(versions_text(image), image);
    return kExitDone;
}

Result<ExitCode> server_image_delete(const std::string& name, const Context& context) {
    auto client = TRY(RestClient::open());
    TRY(client.remove("/images/" + segment(name)));
    context.print("deleted " + name + "\n", {{"deleted", name}});
    return kExitDone;
}

}  // namespace slipway::console
