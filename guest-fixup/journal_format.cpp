// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/journal_format.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "guest-fixup/errors.hpp"

namespace slipway::fixup {

namespace {

namespace json = boost::json;

constexpr State::Kind kKinds[] = {State::Kind::None, State::Kind::File, State::Kind::Link, State::Kind::Directory,
                                  State::Kind::Other};

std::optional<std::uint64_t> number_in(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    if (!value) return std::nullopt;
    if (const auto* n = value->if_uint64()) return *n;
    if (const auto* n = value->if_int64(); n && *n >= 0) return static_cast<std::uint64_t>(*n);
    return std::nullopt;
}

std::optional<std::string> text_in(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    const auto* text = value ? value->if_string() : nullptr;
    if (!text) return std::nullopt;
    return std::string(text->data(), text->size());
}

// "/a/b": no part is empty, "." or "..".
bool plain_path(std::string_view path) {
    if (path.size() < 2 || path.size() > 4096 || path[0] != '/' || path.find('\0') != path.npos) return false;
    for (std::size_t at = 1; at <= path.size();) {
        const auto end = std::min(path.find('/', at), path.size());
        const auto part = path.substr(at, end - at);
        if (part.empty() || part == "." || part == "..") return false;
        at = end + 1;
    }
    return true;
}

json::object to_object(const State& state) {
    json::object out{{"kind", name_of(state.kind)}};
    if (state.kind == State::Kind::None) return out;
    out["mode"] = state.mode;
    out["uid"] = state.uid;
    out["gid"] = state.gid;
    if (state.kind == State::Kind::File) {
        out["size"] = state.size;
        out["sha256"] = state.digest;
    }
    if (state.kind == State::Kind::Link) out["target"] = state.target;
    return out;
}

std::optional<State> state_in(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    const auto* from = value ? value->if_object() : nullptr;
    if (!from) return std::nullopt;
    const auto kind = text_in(*from, "kind");
    const auto* known = std::find_if(std::begin(kKinds), std::end(kKinds), [&](auto k) { return name_of(k) == kind; });
    if (known == std::end(kKinds)) return std::nullopt;
    State state;
    state.kind = *known;
    if (state.kind == State::Kind::None) return state;
    const auto mode = number_in(*from, "mode"), uid = number_in(*from, "uid"), gid = number_in(*from, "gid");
    if (!mode || *mode > 07777 || !uid || *uid > 0xfffffffe || !gid || *gid > 0xfffffffe) return std::nullopt;
    state.mode = static_cast<unsigned>(*mode);
    state.uid = static_cast<unsigned>(*uid);
    state.gid = static_cast<unsigned>(*gid);
    if (state.kind == State::Kind::File) {
        const auto size = number_in(*from, "size");
        const auto digest = text_in(*from, "sha256");
        if (!size || !digest || digest->size() != 64) return std::nullopt;
        state.size = *size;
        state.digest = *digest;
    }
    if (state.kind == State::Kind::Link) {
        const auto target = text_in(*from, "target");
        if (!target || target->empty() || target->size() > 4096 || target->find('\0') != target->npos)
            return std::nullopt;
        state.target = *target;
    }
    return state;
}

std::string line(const json::object& object) { return json::serialize(object) + "\n"; }

class Parser {
public:
    Result<JournalText> parse(std::string_view text) {
        if (text.size() > kJournalLimit)
            return make_error(errors::kJournal, "it has {} bytes, more than {}", text.size(), kJournalLimit);
        std::size_t number = 0;
        for (std::size_t at = 0; at < text.size(); ++number) {
            const auto end = text.find('\n', at);
            if (end == text.npos) break;  // cut short while it was written
            // A power cut may leave a last line of zeros; one with lines after it was whole once.
            if (!take(text.substr(at, end - at), end + 1)) {
                if (end + 1 == text.size()) break;
                return make_error(errors::kJournal, "line {} is not understood", number + 1);
            }
            at = end + 1;
        }
        return std::move(out_);
    }

private:
    bool take(std::string_view text, std::size_t end) {
        json::parse_options options;
        options.max_depth = 4;
        options.allow_invalid_utf8 = true;  // names of files are bytes
        boost::system::error_code bad;
        const auto value = json::parse(text, bad, {}, options);
        const auto* object = bad ? nullptr : value.if_object();
        if (!object) return false;
        if (out_.whole == 0) {
            if (number_in(*object, "slipway-repair-journal") != 1u) return false;
            out_.whole = end;
            return true;
        }
        if (out_.undoing) return false;  // nothing follows it
        if (auto n = number_in(*object, "run")) return begin(*n, end - text.size() - 1);
        if (auto n = number_in(*object, "undo")) return undo(*n, *object);
        if (!open()) return false;
        if (auto n = number_in(*object, "end")) {
            if (*n != out_.last_run) return false;
            out_.runs.back().finished = true;
            out_.whole = end;
            return true;
        }
        if (auto n = number_in(*object, "change")) return change(*n, *object);
        if (auto n = number_in(*object, "watch")) return watch(*n, *object);
        if (auto n = number_in(*object, "after")) return after(*n, *object);
        return false;
    }
    bool open() const { return !out_.runs.empty() && !out_.runs.back().finished; }
    bool next_id(std::uint64_t id) {
        if (id <= out_.last_id || id > (1ull << 53)) return false;
        out_.last_id = id;
        return true;
    }
    bool begin(std::uint64_t number, std::size_t start) {
        if (open() || number <= out_.last_run || number > (1ull << 53)) return false;
        out_.last_run = number;
        out_.runs.push_back({.number = number, .start = start});
        return true;
    }
    bool undo(std::uint64_t last, const json::object& object) {
        if (open() || last != out_.last_run) return false;
        if (object.contains("from")) {
            const auto from = number_in(object, "from");
            const auto found = std::find_if(out_.runs.begin(), out_.runs.end(),
                                            [&](const JournalRun& run) { return run.number == from; });
            if (found == out_.runs.end()) return false;
            out_.undo_from = static_cast<std::size_t>(found - out_.runs.begin());
        }
        return out_.undoing = true;
    }
    bool change(std::uint64_t id, const json::object& object) {
        auto path = text_in(object, "path");
        auto before = state_in(object, "before");
        if (!path || !plain_path(*path) || !before || !next_id(id)) return false;
        JournalChange entry{id,   text_in(object, "what").value_or(""), std::move(*path), std::move(*before), {}, false,
                            false};
        if (object.contains("after")) {
            entry.after = state_in(object, "after");
            if (!entry.after) return false;
        }
        entry.tool = object.contains("tool");
        entry.forget = object.contains("forget");
        out_.runs.back().changes.push_back(std::move(entry));
        return true;
    }
    bool watch(std::uint64_t id, const json::object& object) {
        auto path = text_in(object, "path");
        const auto* value = object.if_contains("names");
        const auto* names = value ? value->if_array() : nullptr;
        if (!path || !plain_path(*path) || !names || !next_id(id)) return false;
        JournalWatch entry{id, std::move(*path), {}};
        for (const auto& name : *names) {
            if (!name.if_string()) return false;
            entry.names.emplace_back(name.get_string().data(), name.get_string().size());
        }
        out_.runs.back().watches.push_back(std::move(entry));
        return true;
    }
    bool after(std::uint64_t id, const json::object& object) {
        auto state = state_in(object, "state");
        auto& changes = out_.runs.back().changes;
        auto entry = std::lower_bound(changes.begin(), changes.end(), id,
                                      [](const JournalChange& c, std::uint64_t wanted) { return c.id < wanted; });
        if (!state || entry == changes.end() || entry->id != id) return false;
        entry->after = std::move(state);
        return true;
    }

    JournalText out_;
};

}  // namespace

Result<JournalText> parse_journal(std::string_view text) { return Parser().parse(text); }

std::string run_line(std::uint64_t number) { return line({{"run", number}}); }
std::string end_line(std::uint64_t number) { return line({{"end", number}}); }
std::string undo_line(std::uint64_t last, std::optional<std::uint64_t> from) {
    json::object out{{"undo", last}};
    if (from) out["from"] = *from;
    return line(out);
}

std::string change_line(const JournalChange& change) {
    json::object out{
        {"change", change.id}, {"what", change.what}, {"path", change.path}, {"before", to_object(change.before)}};
    if (change.after) out["after"] = to_object(*change.after);
    if (change.tool) out["tool"] = true;
    if (change.forget) out["forget"] = true;
    return line(out);
}

std::string watch_line(const JournalWatch& watch) {
    return line({{"watch", watch.id}, {"path", watch.path}, {"names", json::value_from(watch.names)}});
}

std::string after_line(std::uint64_t id, const State& state) {
    return line({{"after", id}, {"state", to_object(state)}});
}

}  // namespace slipway::fixup
