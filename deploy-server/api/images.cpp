// SPDX-License-Identifier: GPL-3.0-or-later
#include <map>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "deploy-server/api/api.hpp"
#include "imagestore/errors.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

// What the encoded chunks of a version take, each counted once. A version never changes, so it is summed up once.
class StoredBytes {
public:
    explicit StoredBytes(imagestore::Store& store) : store_(store) {}
    Result<std::uint64_t> of(const imagestore::ImageVersion& version, const imagestore::ManifestBytes& manifest) {
        {
            std::lock_guard lock(mutex_);
            if (auto found = known_.find(version.text()); found != known_.end()) return found->second;
        }
        std::unordered_set<Digest> ids;
        imagestore::ManifestReader reader(manifest);
        for (auto event = TRY(reader.next()); event; event = TRY(reader.next()))
            if (const auto* run = std::get_if<imagestore::ChunkRun>(&*event))
                ids.insert(run->ids.begin(), run->ids.end());
        std::uint64_t bytes = 0;
        for (const auto& id : ids) bytes += TRY(store_.stored_length(id)).value_or(0);
        std::lock_guard lock(mutex_);
        return known_[version.text()] = bytes;
    }

private:
    imagestore::Store& store_;
    std::mutex mutex_;
    std::map<std::string, std::uint64_t> known_;
};

static json::object version_json(const imagestore::ImageVersion& version, const imagestore::ManifestSummary& s,
                                 std::uint64_t stored_bytes) {
    std::uint64_t disk_bytes = 0, used_bytes = 0;
    json::array disks;
    for (const auto& d : s.disks) {
        disk_bytes += d.disk.size;
        json::array volumes;
        for (const auto& v : d.volumes) {
            used_bytes += v.used;
            volumes.push_back({{"partition", v.partition},
                               {"offset", v.offset},
                               {"length", v.length},
                               {"used", v.used},
                               {"filesystem", v.filesystem},
                               {"label", v.label},
                               {"uuid", v.uuid},
                               {"state", imagestore::name_of(v.state)},
                               {"every_sector", v.every_sector},
                               {"excluded", v.excluded},
                               {"note", v.note}});
        }
        disks.push_back({{"name", d.disk.name},
                         {"serial", d.disk.serial},
                         {"model", d.disk.model},
                         {"size", d.disk.size},
                         {"volumes", std::move(volumes)}});
    }
    return {{"version", version.version},   {"created", time_json(static_cast<std::int64_t>(s.image.created_ms))},
            {"disk_bytes", disk_bytes},     {"used_bytes", used_bytes},
            {"stored_bytes", stored_bytes}, {"disks", std::move(disks)}};
}

static Result<json::object> image_json(const ApiPlace& p, StoredBytes& stored, const std::string& name,
                                       const std::vector<imagestore::ImageVersion>& versions) {
    json::array list;
    for (const auto& version : versions) {
        auto manifest = TRY(p.store->manifest({name, version.version}));
        auto summary = TRY_WITH(imagestore::summarize(*manifest), version.text());
        list.push_back(version_json(version, summary, TRY(stored.of(version, *manifest))));
    }
    return json::object{{"name", name}, {"versions", std::move(list)}};
}

static Result<std::map<std::string, std::vector<imagestore::ImageVersion>>> by_name(const ApiPlace& p) {
    std::map<std::string, std::vector<imagestore::ImageVersion>> out;
    for (auto& version : TRY(p.store->images())) out[version.name].push_back(version);
    return out;
}

static Answer verify(const ApiPlace& p, const std::string& name, const std::atomic<bool>& cancel) {
    auto ref = TRY(imagestore::ImageRef::parse(name));
    (void)TRY(p.store->resolve(ref));
    auto report = TRY(p.store->verify({}, &cancel));
    json::array hurt;
    for (const auto& h : report.hurt) {
        auto of = imagestore::ImageRef::parse(h.image);
        if (!of || of->name != ref.name || (ref.version && of->version != ref.version)) continue;
        hurt.push_back({{"image", h.image}, {"missing_chunks", h.missing_chunks}, {"reason", h.reason}});
    }
    return json_response(
        200,
        json::object{{"ok", hurt.empty()}, {"hurt", std::move(hurt)}, {"damaged", json::value_from(report.damaged)}});
}

void add_image_routes(http::Router& router, const ApiPlace& p) {
    if (!p.store) return;
    auto stored = std::make_shared<StoredBytes>(*p.store);  // both handlers'
    router.add("GET", "/api/v1/images", handler([p, stored](const Request&) -> Answer {
                   json::array items;
                   for (const auto& [name, versions] : TRY(by_name(p))) {
                       auto image = image_json(p, *stored, name, versions);
                       // One damaged manifest must not hide the other images.
                       if (image) items.push_back(std::move(*image));
                       else
                           items.push_back(
                               {{"name", name}, {"versions", json::array()}, {"damaged", image.error().describe()}});
                   }
                   return json_response(200, json::object{{"items", std::move(items)}});
               }));
    router.add("GET", "/api/v1/images/{name}", handler([p, stored](const Request& r) -> Answer {
                   auto ref = TRY(imagestore::ImageRef::parse(r.parameter("name")));
                   auto all = TRY(by_name(p));
                   auto found = all.find(ref.name);
                   if (found == all.end()) return make_error(imagestore::errors::kNoImage, "no image '{}'", ref.name);
                   auto versions = found->second;
                   if (ref.version) versions = {TRY(p.store->resolve(ref))};
                   return json_response(200, TRY(image_json(p, *stored, ref.name, versions)));
               }));
    router.add("DELETE", "/api/v1/images/{name}", handler([p](const Request& r) -> Answer {
                   const auto ref = TRY(imagestore::ImageRef::parse(r.parameter("name")));
                   std::vector<std::string> versions;
                   for (const auto& v : TRY(p.store->images()))
                       if (v.name == ref.name && (!ref.version || v.version == ref.version))
                           versions.push_back(v.text());
                   TRY(p.hub.remove_images(versions, [&]() -> Status {
                       (void)TRY(p.store->remove(ref));
                       return {};
                   }));
                   return Response::empty();
               }));
    // Reads the whole store.
    router.add("POST", "/api/v1/images/{name}/verify", [p](Request r, http::Responder out) {
        p.long_calls.run([p, name = r.parameter("name"), out](const std::atomic<bool>& cancel) {
            auto answer = verify(p, name, cancel);
            out.send(answer ? std::move(*answer) : error_response(answer.error()));
        });
    });
}

void LongCalls::run(std::function<void(const std::atomic<bool>&)> call) {
    std::lock_guard lock(mutex_);
    if (cancel_) return;
    std::erase_if(threads_, [](Thread& t) {
        if (!*t.over) return false;
        t.thread.join();
        return true;
    });
    auto over = std::make_shared<std::atomic<bool>>(false);
    auto body = [this, over, call = std::move(call)] {
        call(cancel_);
        *over = true;
    };
    threads_.push_back({std::thread(std::move(body)), over});
}

void LongCalls::stop() {
    cancel_ = true;
    std::vector<Thread> threads;
    {
        std::lock_guard lock(mutex_);
        threads.swap(threads_);
    }
    for (auto& t : threads) t.thread.join();
}

}  // namespace slipway::server
