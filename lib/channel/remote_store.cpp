// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/channel/remote_store.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "lib/channel/chunk_frames.hpp"
#include "lib/channel/errors.hpp"
#include "lib/channel/messages.hpp"

namespace slipway::channel {

using imagestore::ChunkId;

namespace {

constexpr std::chrono::milliseconds kQuick{500}, kSlow{2000};  // an answer: the next may bring twice, half as much
constexpr std::uint64_t kShortAnswer = 64u << 10;              // also the room for an error where flags were expected

Result<std::uint32_t> version_in(const std::string& body) {
    boost::system::error_code failed;
    auto document = boost::json::parse(body, failed);
    const auto* object = failed ? nullptr : document.if_object();
    const auto* version = object ? object->if_contains("version") : nullptr;
    auto number = version && version->is_number() ? version->to_number<std::uint32_t>(failed) : 0;
    if (failed || number == 0) return make_error(errors::kBadMessage, "the server named no version");
    return number;
}

}  // namespace

// What waits to be sent counts as known: the capture asks for an id again only when its chunk comes again.
Result<std::vector<bool>> RemoteSink::have(std::span<const ChunkId> ids) {
    auto answer = TRY(calls_.call("have", render_ids(ids), ids.size() + kShortAnswer));
    auto known = TRY(parse_flags(answer, ids.size()));
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (!known[i]) known[i] = std::find(waiting_.begin(), waiting_.end(), ids[i]) != waiting_.end();
    return known;
}

Status RemoteSink::put(const ChunkId& id, ByteView encoded) {
    if (body_.size() + encoded.size() + 36 > kMaxBody) TRY(send());
    append_frame(body_, id, encoded);
    waiting_.push_back(id);
    return {};
}

Status RemoteSink::send() {
    if (body_.empty()) return {};
    auto answer = calls_.call("", body_, kShortAnswer);
    body_.clear();
    waiting_.clear();
    if (!answer) return std::move(answer).error();
    return {};
}

Status RemoteSink::flush() {
    TRY(send());
    auto answer = calls_.call("flush", "", kShortAnswer);
    if (!answer) return std::move(answer).error();
    return {};
}

Result<imagestore::CommitResult> RemoteSink::commit(std::string_view name, const imagestore::ManifestBytes& manifest) {
    TRY(flush());
    if (manifest.size() > kMaxManifest) return make_error(errors::kTooLong, "a manifest of {} bytes", manifest.size());
    std::string body(manifest.size(), '\0');
    TRY(manifest.read(0, std::as_writable_bytes(std::span(body))));
    auto answer = TRY(calls_.commit(std::string(name), std::move(body), imagestore::kMissingLimit * 32 + kShortAnswer));
    imagestore::CommitResult result;
    if (answer.status != 409) {
        result.version = TRY(version_in(answer.body));
        return result;
    }
    if (answer.content_type.starts_with("application/json")) return parse_error(409, answer.body);
    result.missing = TRY(parse_ids(answer.body));
    if (result.missing.empty()) return make_error(errors::kBadMessage, "the server refused the image without a reason");
    return result;
}

Result<Bytes> RemoteSource::get(const ChunkId& id) { return std::move(TRY(get_many({&id, 1})).front()); }

Result<std::string> RemoteSource::ask(std::span<const ChunkId> part) {
    const auto asked = clock_.now();
    auto answer = TRY(calls_.call(kGet, render_ids(part), part.size() * (kMaxFrame + 36)));
    const auto took = clock_.now() - asked;
    if (took > kSlow) at_once_ = std::max<std::size_t>(1, at_once_ / 2);
    else if (took < kQuick && part.size() == at_once_) at_once_ = std::min(kMostAtOnce, at_once_ * 2);
    return answer;
}

Status RemoteSource::get_each(std::span<const ChunkId> ids, const Take& take) {
    for (std::size_t got = 0; got < ids.size();) {
        auto part = ids.subspan(got, std::min(at_once_, ids.size() - got));
        auto answer = TRY(ask(part));
        auto frames = TRY(parse_frames(answer));
        if (frames.empty() || frames.size() > part.size())
            return make_error(errors::kBadMessage, "{} chunks for {} ids", frames.size(), part.size());
        for (std::size_t i = 0; i < frames.size(); ++i)
            if (frames[i].id != part[i]) return make_error(errors::kBadMessage, "another chunk than was asked for");
        for (const auto& frame : frames) TRY(take(got++, Bytes(frame.encoded.begin(), frame.encoded.end())));
    }
    return {};
}

}  // namespace slipway::channel
