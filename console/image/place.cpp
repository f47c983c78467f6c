// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/image/place.hpp"

#include "console/image/image.hpp"
#include "imagestore/errors.hpp"

namespace slipway::console {

namespace {

using namespace slipway::imagestore;

class DirectoryPlace final : public ImagePlace {
public:
    explicit DirectoryPlace(std::unique_ptr<Store> store) : store_(std::move(store)) {}
    Result<PlacedImage> image(const ImageRef& ref) override {
        auto manifest = TRY(store_->manifest(ref));
        auto version = manifest->version();
        return PlacedImage{std::move(version), std::move(manifest), nullptr, store_.get()};
    }
    Result<std::vector<ImageVersion>> versions(const std::string& name) override {
        auto all = TRY(store_->images());
        std::erase_if(all, [&](const auto& version) { return version.name != name; });
        if (all.empty()) return make_error(imagestore::errors::kNoImage, "no image {}", name);
        return all;
    }
    Status remove(const ImageRef& ref) override {
        auto removed = store_->remove(ref);
        return removed ? Status() : std::move(removed).error();
    }
    Result<std::unique_ptr<ChunkSink>> sink(const std::string&, bool checked) override {
        WriterOptions options;
        options.check_chunks = !checked;
        return std::unique_ptr<ChunkSink>(TRY(store_->writer(options)));
    }

private:
    std::unique_ptr<Store> store_;
};

}  // namespace

void add_place_options(CLI::App& app, PlaceName& name) {
    auto* store = app.add_option("--store", name.store, "directory of a store; without it the server's is used");
    app.add_option("--server", name.server, "URL of the server whose store it is; without it the one logged in to")
        ->excludes(store);
}

Result<std::unique_ptr<ImagePlace>> open_place(const PlaceName& name, bool create) {
    if (name.store.empty()) return open_server_place(name.server);
    return std::unique_ptr<ImagePlace>(std::make_unique<DirectoryPlace>(TRY(open_store(name.store, create))));
}

}  // namespace slipway::console
