// SPDX-License-Identifier: GPL-3.0-or-later
// Where the image commands find their images: a store in a directory, or the deploy server's by REST. The engine is the
// same, since both are a ChunkSink and a ChunkSource.
#pragma once

#include <memory>
#include <vector>

#include "console/command.hpp"
#include "imagestore/chunk_sink.hpp"
#include "imagestore/chunk_source.hpp"
#include "imagestore/store.hpp"

namespace slipway::console {

struct PlaceName {
    std::string store;   // a directory; empty: the server's store
    std::string server;  // its URL; empty: the one that is logged in to
};
// --store and --server, one or none of them.
void add_place_options(CLI::App& app, PlaceName& name);

// An image, open: as long as it is, or is read from, neither delete nor gc takes a chunk of it.
struct PlacedImage {
    imagestore::ImageVersion version;
    std::unique_ptr<imagestore::ManifestBytes> manifest;
    std::unique_ptr<imagestore::ChunkSource> owned;  // of a server
    imagestore::ChunkSource* chunks = nullptr;       // `owned`, or the place's; the place lives longer
};

class ImagePlace {
public:
    virtual ~ImagePlace() = default;
    // Errors: imagestore.no-image, console.*, and those of reaching the server.
    virtual Result<PlacedImage> image(const imagestore::ImageRef& ref) = 0;
    virtual Result<std::vector<imagestore::ImageVersion>> versions(const std::string& name) = 0;  // the newest last
    virtual Status remove(const imagestore::ImageRef& ref) = 0;
    // For a capture (or the like) of `name`. `checked`: this process has hashed the chunks itself.
    virtual Result<std::unique_ptr<imagestore::ChunkSink>> sink(const std::string& name, bool checked) = 0;
};

// `create`: a directory that is empty or missing becomes a store.
Result<std::unique_ptr<ImagePlace>> open_place(const PlaceName& name, bool create = false);
Result<std::unique_ptr<ImagePlace>> open_server_place(const std::string& url);

}  // namespace slipway::console
