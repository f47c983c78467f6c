// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image …`: the group, and what its commands share.
#include "console/commands.hpp"
#include "console/image/image.hpp"
#include "console/image/place.hpp"
#include "imagestore/store.hpp"

namespace slipway::console {

Result<std::unique_ptr<imagestore::Store>> open_store(const std::string& directory, bool create) {
    imagestore::StoreOptions options;
    options.create = create;
    return imagestore::Store::open(directory, options);
}

void add_memory_option(CLI::App& app, std::uint64_t& memory) {
    app.add_option("--memory", memory, "what the pipeline may take of memory; 48M is enough")
        ->transform(size_text())
        ->default_str("256M");
}

CLI::App* add_store_command(CLI::App& image, Context& context, const StoreCommand& command, PlaceName& place,
                            std::function<Result<ExitCode>()> local, std::function<Result<ExitCode>()> remote) {
    auto* app =
        add_command(image, context, command.word, command.what,
                    fmt::format("  slipway image {}{} --store /srv/store\n", command.word, command.name ? " web" : ""));
    if (command.name) app->add_option("name", *command.name, "NAME or NAME@VERSION")->required();
    add_place_options(*app, place);
    on_command(*app, context, [&place, local, remote] { return place.store.empty() ? remote() : local(); });
    return app;
}

void add_image_commands(CLI::App& root, Context& context) {
    auto* image = root.add_subcommand("image", "Images: capture, deploy, look at and care for them");
    image->require_subcommand(1);
    add_image_capture(*image, context);
    add_image_deploy(*image, context);
    add_image_transfer(*image, context);
    add_image_mount(*image, context);
    add_image_versions(*image, context);
    add_image_views(*image, context);
    add_image_care(*image, context);
}

}  // namespace slipway::console
