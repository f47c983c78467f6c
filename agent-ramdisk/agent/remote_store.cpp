// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/remote_store.hpp"

namespace slipway::agent {

Result<BulkLink> BulkLink::open(const LinkOptions& options, const Self& self, const std::string& bulk_key) {
    auto control = TRY(ControllerLink::open(options, self));
    if (bulk_key.empty() || options.bulk_url.empty()) return BulkLink(std::move(control), std::nullopt, {});
    auto clear = options;
    clear.server_url = options.bulk_url;
    return BulkLink(std::move(control), TRY(ControllerLink::open(clear, {})), bulk_key);
}

Result<std::string> BulkLink::call(const std::string& verb, const std::string& body, std::uint64_t max_answer) {
    auto tail = verb.empty() ? std::string() : "/" + verb;
    if (!clear_) return TRY(control_.bytes("/agent/v1/chunks" + tail, &body, max_answer)).body;
    http::Headers headers;
    headers.set(channel::kBulkHeader, key_);
    return TRY(clear_->bytes("/bulk/v1/chunks" + tail, &body, max_answer, headers)).body;
}

Result<channel::CommitAnswer> BulkLink::commit(const std::string& name, std::string manifest,
                                               std::uint64_t max_answer) {
    auto answer = TRY(control_.bytes("/agent/v1/images/" + name + "/commit", &manifest, max_answer));
    return channel::CommitAnswer{answer.status, answer.headers.get("Content-Type"), std::move(answer.body)};
}

Result<Bytes> BulkLink::manifest(const std::string& image) {
    auto answer = TRY(control_.bytes("/agent/v1/images/" + image + "/manifest", nullptr, channel::kMaxManifest));
    if (answer.status == 409) return channel::parse_error(409, answer.body);
    return to_bytes(answer.body);
}

}  // namespace slipway::agent
