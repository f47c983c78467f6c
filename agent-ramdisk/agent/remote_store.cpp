// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/remote_store.hpp"

#include <algorithm>

#include "agent-ramdisk/agent/errors.hpp"
#include "imagestore/errors.hpp"
#include "lib/channel/chunk_frames.hpp"
#include "lib/channel/errors.hpp"

namespace slipway::agent {

using imagestore::ChunkId;

namespace {

constexpr std::size_t kGetAtOnce = 8;  // 8 MiB an answer, so that an agent in 128 MiB lives
constexpr std::uint64_t kMaxManifest = 512u << 20;

}  // namespace

Result<BulkLink> BulkLink::open(const LinkOptions& options, const Self& self, const std::string& bulk_key) {
    auto control = TRY(ControllerLink::open(options, self));
    if (bulk_key.empty() || options.bulk_url.empty()) return BulkLink(std::move(control), std::nullopt, {});
    auto clear = options;
    clear.server_url = options.bulk_url;
    return BulkLink(std::move(control), TRY(ControllerLink::open(clear, {})), bulk_key);
}

Result<http::ClientResponse> BulkLink::call(const std::string& verb, const std::string& body,
                                            std::uint64_t max_answer) {
    auto tail = verb.empty() ? std::string() : "/" + verb;
    if (!clear_) return control_.bytes("/agent/v1/chunks" + tail, &body, max_answer);
    http::Headers headers;
    headers.set(channel::kBulkHeader, key_);
    return clear_->bytes("/bulk/v1/chunks" + tail, &body, max_answer, headers);
}

Result<std::vector<bool>> RemoteSink::have(std::span<const ChunkId> ids) {
    auto answer = TRY(link_.call("have", channel::render_ids(ids), ids.size()));
    auto known = TRY(channel::parse_flags(answer.body, ids.size()));
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (!known[i]) known[i] = std::find(waiting_.begin(), waiting_.end(), ids[i]) != waiting_.end();
    return known;
}

Status RemoteSink::put(const ChunkId& id, ByteView encoded) {
    if (body_.size() + encoded.size() + 36 > channel::kMaxBody) TRY(send());
    channel::append_frame(body_, id, encoded);
    waiting_.push_back(id);
    return {};
}

Status RemoteSink::send() {
    if (body_.empty()) return {};
    auto answer = link_.call("", body_, 64u << 10);
    body_.clear();
    waiting_.clear();
    if (!answer) return std::move(answer).error();
    return {};
}

Status RemoteSink::flush() {
    TRY(send());
    auto answer = link_.call("flush", "", 64u << 10);
    if (!answer) return std::move(answer).error();
    return {};
}

Result<imagestore::CommitResult> RemoteSink::commit(std::string_view name, const imagestore::ManifestBytes& manifest) {
    TRY(flush());
    std::string body(manifest.size(), '\0');
    TRY(manifest.read(0, std::as_writable_bytes(std::span(body))));
    auto answer = TRY(link_.control().bytes(fmt::format("/agent/v1/images/{}/commit", name), &body,
                                            imagestore::kMissingLimit * 32 + 65536));
    imagestore::CommitResult result;
    if (answer.status == 409) {
        auto missing = channel::parse_ids(answer.body);
        if (!missing) return channel::parse_error(409, answer.body);
        result.missing = std::move(missing).value();
        if (result.missing.empty())
            return make_error(channel::errors::kBadMessage, "the server refused the image without a reason");
        return result;
    }
    boost::system::error_code failed;
    auto document = boost::json::parse(answer.body, failed);
    const auto* object = failed ? nullptr : document.if_object();
    const auto* version = object ? object->if_contains("version") : nullptr;
    if (version && version->is_number()) result.version = version->to_number<std::uint32_t>(failed);
    if (result.version == 0) return make_error(channel::errors::kBadMessage, "the server named no version");
    return result;
}

Result<Bytes> RemoteSource::get(const ChunkId& id) { return std::move(TRY(get_many({&id, 1})).front()); }

Result<std::vector<Bytes>> RemoteSource::get_many(std::span<const ChunkId> ids) {
    std::vector<Bytes> out;
    while (out.size() < ids.size()) {
        auto part = ids.subspan(out.size(), std::min(kGetAtOnce, ids.size() - out.size()));
        auto answer = TRY(link_.call("get", channel::render_ids(part), part.size() * (channel::kMaxFrame + 36)));
        auto frames = TRY(channel::parse_frames(answer.body));
        if (frames.size() != part.size())
            return make_error(channel::errors::kBadMessage, "{} chunks for {} ids", frames.size(), part.size());
        for (std::size_t i = 0; i < part.size(); ++i) {
            if (frames[i].id != part[i])
                return make_error(channel::errors::kBadMessage, "another chunk than was asked for");
            out.emplace_back(frames[i].encoded.begin(), frames[i].encoded.end());
        }
    }
    return out;
}

Result<Bytes> fetch_manifest(ControllerLink& link, const std::string& image) {
    auto answer = TRY(link.bytes("/agent/v1/images/" + image + "/manifest", nullptr, kMaxManifest));
    if (answer.status == 409) return channel::parse_error(409, answer.body);
    return to_bytes(answer.body);
}

}  // namespace slipway::agent
