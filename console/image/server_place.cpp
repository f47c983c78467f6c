// SPDX-License-Identifier: GPL-3.0-or-later
// The server's store by REST (docs/protocols/rest.md, "The store").
#include <algorithm>
#include <iostream>
#include <thread>

#include "console/errors.hpp"
#include "console/image/place.hpp"
#include "console/rest_client.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/spool.hpp"
#include "lib/channel/chunk_frames.hpp"
#include "lib/channel/remote_store.hpp"

namespace slipway::console {

namespace {

using namespace slipway::imagestore;
namespace json = boost::json;

// A server that went away in mid work is waited for so long; one that was never there is not.
constexpr std::chrono::minutes kPatience{2};
constexpr std::chrono::milliseconds kFirstPause{200}, kLongestPause{5000};
constexpr std::uint64_t kShortAnswer = 64u << 10;
constexpr const char* kNoUpload = "server.no-upload";

class Line {
public:
    explicit Line(RestClient client) : client_(std::move(client)) {}
    Result<http::ClientResponse> exchange(const std::string& path, const std::string* body, std::uint64_t max_answer) {
        auto since = SystemClock().now();
        bool told = false;
        for (auto pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
            auto answer = client_.exchange(path, body, max_answer);
            if (answer) reached_ = true;
            if (answer || !answer.error().temporary() || !reached_) return answer;
            if (cancel_flag() || SystemClock().now() - since > kPatience) return answer;
            if (!told) std::cerr << "\nwaiting for the server: " << answer.error().describe() << "\n";
            told = true;
            std::this_thread::sleep_for(pause);
        }
    }
    RestClient& client() { return client_; }

private:
    RestClient client_;
    bool reached_ = false;
};

// ---- capture

class UploadCalls final : public channel::ChunkCalls {
public:
    UploadCalls(RestClient client, std::string image) : line_(std::move(client)), image_(std::move(image)) {}
    // Not committed: what the server took is sealed, and counts when the capture is begun again.
    ~UploadCalls() override {
        if (!id_.empty()) (void)line_.client().remove("/uploads/" + id_).ok();
    }
    UploadCalls(const UploadCalls&) = delete;
    UploadCalls& operator=(const UploadCalls&) = delete;

    Status open() {
        auto body = json::serialize(json::value{{"image", image_}});
        auto answer = TRY(line_.exchange("/uploads", &body, kShortAnswer));
        boost::system::error_code failed;
        id_ = text_at(json::parse(answer.body, failed), "id");
        if (failed || id_.empty() || segment(id_) != id_)
            return make_error(errors::kBadAnswer, "the server named no upload");
        return {};
    }
    Result<std::string> call(const std::string& verb, const std::string& body, std::uint64_t max_answer) override {
        return TRY(upload(verb.empty() ? "/chunks" : "/chunks/" + verb, body, max_answer)).body;
    }
    Result<channel::CommitAnswer> commit(const std::string&, std::string manifest, std::uint64_t max_answer) override {
        auto answer = TRY(upload("/commit", manifest, max_answer));
        if (answer.status != 409) id_.clear();  // it ended with the commit
        return channel::CommitAnswer{answer.status, answer.headers.get("Content-Type"), std::move(answer.body)};
    }

private:
    // An upload ends with its server, and when it is idle. What it had not flushed then the commit finds missing.
    Result<http::ClientResponse> upload(const std::string& tail, const std::string& body, std::uint64_t max_answer) {
        auto answer = line_.exchange("/uploads/" + id_ + tail, &body, max_answer);
        if (answer || answer.error().name() != kNoUpload) return answer;
        id_.clear();
        TRY(open());
        return line_.exchange("/uploads/" + id_ + tail, &body, max_answer);
    }
    Line line_;
    std::string image_, id_;
};

class ServerSink final : public ChunkSink {
public:
    ServerSink(RestClient client, std::string image) : calls_(std::move(client), std::move(image)) {}
    Status open() { return calls_.open(); }
    Result<std::vector<bool>> have(std::span<const ChunkId> ids) override {
        std::vector<bool> out;
        while (out.size() < ids.size()) {
            auto part = TRY(sink_.have(ids.subspan(out.size(), std::min(channel::kMaxIds, ids.size() - out.size()))));
            out.insert(out.end(), part.begin(), part.end());
        }
        return out;
    }
    Status put(const ChunkId& id, ByteView encoded) override { return sink_.put(id, encoded); }
    Status flush() override { return sink_.flush(); }
    Result<CommitResult> commit(std::string_view name, const ManifestBytes& manifest) override {
        return sink_.commit(name, manifest);
    }

private:
    UploadCalls calls_;
    channel::RemoteSink sink_{calls_};
};

// ---- deploy

class ReadCalls final : public channel::ChunkCalls {
public:
    ReadCalls(RestClient client, std::string image) : line_(std::move(client)), image_(std::move(image)) {}
    Result<std::string> call(const std::string& verb, const std::string& body, std::uint64_t max_answer) override {
        return TRY(line_.exchange("/images/" + segment(image_) + "/chunks/" + verb, &body, max_answer)).body;
    }
    Result<channel::CommitAnswer> commit(const std::string&, std::string, std::uint64_t) override {
        return make_error(errors::kUsage, "{} is open for reading", image_);
    }
    Result<http::ClientResponse> manifest() {
        return line_.exchange("/images/" + segment(image_) + "/manifest", nullptr,
                              channel::kMaxManifest + kShortAnswer);
    }
    // From now on this very version, whatever its name gets meanwhile.
    void pin(const ImageRef& ref) { image_ = ref.text(); }

private:
    Line line_;
    std::string image_;
};

class ServerSource final : public ChunkSource {
public:
    ServerSource(RestClient client, std::string image) : calls_(std::move(client), std::move(image)) {}
    Result<Bytes> get(const ChunkId& id) override { return source_.get(id); }
    Status get_each(std::span<const ChunkId> ids, const Take& take) override { return source_.get_each(ids, take); }
    ReadCalls& calls() { return calls_; }

private:
    ReadCalls calls_;
    SystemClock clock_;
    channel::RemoteSource source_{calls_, clock_};
};

class ServerPlace final : public ImagePlace {
public:
    explicit ServerPlace(Login login) : login_(std::move(login)) {}

    Result<PlacedImage> image(const ImageRef& ref) override {
        auto source = std::make_unique<ServerSource>(TRY(RestClient::open(login_)), ref.text());
        auto answer = TRY(source->calls().manifest());
        auto named = ImageRef::parse(answer.headers.get(channel::kImageHeader));
        if (!named || named->name != ref.name || named->version == 0 || (ref.version && named->version != ref.version))
            return make_error(errors::kBadAnswer, "the server does not say which image it sent");
        source->calls().pin(*named);
        auto spool = std::make_unique<SpoolManifest>(TRY(SpoolManifest::create()));
        TRY_WITH(spool->write(as_bytes(answer.body)), "keeping the manifest");
        PlacedImage out;
        out.version = {named->name, named->version, answer.body.size()};
        out.manifest = std::move(spool);
        out.chunks = source.get();
        out.owned = std::move(source);
        return out;
    }
    Result<std::vector<ImageVersion>> versions(const std::string& name) override {
        auto client = TRY(RestClient::open(login_));
        auto image = TRY(client.get("/images/" + segment(name)));
        std::vector<ImageVersion> out;
        for (const auto& version : array_at(image, "versions"))
            out.push_back({name, static_cast<std::uint32_t>(number_at(version, "version")), 0});
        if (out.empty()) return make_error(errors::kBadAnswer, "the server names no version of {}", name);
        return out;
    }
    Status remove(const ImageRef& ref) override {
        auto client = TRY(RestClient::open(login_));
        auto removed = client.remove("/images/" + segment(ref.text()));
        return removed ? Status() : std::move(removed).error();
    }
    Result<std::unique_ptr<ChunkSink>> sink(const std::string& name, bool) override {
        auto sink = std::make_unique<ServerSink>(TRY(RestClient::open(login_)), name);
        TRY(sink->open());
        return std::unique_ptr<ChunkSink>(std::move(sink));
    }

private:
    Login login_;
};

}  // namespace

Result<std::unique_ptr<ImagePlace>> open_server_place(const std::string& url) {
    return std::unique_ptr<ImagePlace>(std::make_unique<ServerPlace>(TRY(find_login(url))));
}

}  // namespace slipway::console
