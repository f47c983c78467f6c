// SPDX-License-Identifier: GPL-3.0-or-later
// The parts of `slipway image`, and what they share. image_commands.cpp adds them all.
#pragma once

#include "console/command.hpp"

namespace slipway::imagestore {
class Store;
struct VolumeInfo;
}  // namespace slipway::imagestore
namespace slipway::disks {
class LuksKeys;
}

namespace slipway::console {

struct PlaceName;

void add_image_capture(CLI::App& image, Context& context);
void add_image_deploy(CLI::App& image, Context& context);
void add_image_views(CLI::App& image, Context& context);     // list, show
void add_image_care(CLI::App& image, Context& context);      // verify, delete, gc
void add_image_mount(CLI::App& image, Context& context);     // mount, unmount
void add_image_transfer(CLI::App& image, Context& context);  // export, import
void add_image_versions(CLI::App& image, Context& context);  // diff, rollback

// `image show NAME --versions`
Result<ExitCode> show_versions(const std::string& store, const std::string& name, const Context& context);

Result<std::unique_ptr<imagestore::Store>> open_store(const std::string& directory, bool create = false);

// --memory SIZE, what a pipeline may take; 256M unless given.
void add_memory_option(CLI::App& app, std::uint64_t& memory);

// --luks-key FILE, as often as there are keys; `what` is done with them.
CLI::Option* add_luks_key_option(CLI::App& app, std::vector<std::string>& files, const std::string& what);
// Null without files. A passphrase typed into a file ends with a newline that is not part of it; a key file is taken as
// it is too.
Result<std::unique_ptr<disks::LuksKeys>> read_luks_keys(const std::vector<std::string>& files);

// A volume as --json shows it, of a capture and of an image.
boost::json::object describe_volume(const imagestore::VolumeInfo& volume);

struct StoreCommand {
    const char *word, *what;
    std::string* name;  // where NAME goes; null: the command takes none
};

// A command on --store or --server, which `place` gets: `local` runs with a store in a directory, else `remote`.
CLI::App* add_store_command(CLI::App& image, Context& context, const StoreCommand& command, PlaceName& place,
                            std::function<Result<ExitCode>()> local, std::function<Result<ExitCode>()> remote);

}  // namespace slipway::console
