// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/proof_watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <cerrno>

#include "lib/base/errors.hpp"
#include "vmm-target/errors.hpp"
#include "vmm-target/proof_line.hpp"

namespace slipway::vmm {

namespace {

using Clock = std::chrono::steady_clock;

// The log from where it was last read. What a guest writes is without limit, what is kept of it is not.
class LogReader {
public:
    explicit LogReader(UniqueFd fd) : fd_(std::move(fd)) {}

    // Reads on to the log's end, or to the proof. Error: vmm.proof-refused.
    Result<bool> proof_came(const std::string& nonce) {
        Bytes piece(65536);
        for (;;) {
            const auto count = TRY(pread_full(fd_.get(), piece, offset_));
            if (count == 0) return false;
            offset_ += count;
            pending_ += as_text(ByteView(piece).first(count));
            if (has_proof(pending_, nonce)) return true;
            if (auto reason = refusal(pending_, nonce))
                return make_error(errors::kRefused, "the guest says: {}", *reason);
            if (auto other = other_proof(pending_, nonce); !other.empty()) other_ = other;
            pending_.erase(0, pending_.rfind('\n') + 1);  // npos + 1 is 0
            if (pending_.size() > 4096) pending_.erase(0, pending_.size() - 4096);
        }
    }
    const std::string& other() const { return other_; }

private:
    UniqueFd fd_;
    std::uint64_t offset_ = 0;
    std::string pending_, other_;
};

}  // namespace

Status wait_for_proof(const std::filesystem::path& log, const QemuProcess& process, QmpClient& qmp,
                      const std::string& nonce, std::chrono::seconds timeout, const std::atomic<bool>* cancel) {
    UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watch.valid() || ::inotify_add_watch(watch.get(), log.c_str(), IN_MODIFY) < 0)
        return errno_error(errno, "watching " + log.string());
    LogReader reader(TRY(open_fd(log, O_RDONLY)));
    const auto until = Clock::now() + timeout;
    for (;;) {
        pollfd process_end{process.fd(), POLLIN, 0};
        const bool ended = ::poll(&process_end, 1, 0) > 0;  // asked before reading: nothing is written after it
        auto events = qmp.take_events();
        if (!events && !ended && !process.wait_end(std::chrono::seconds(5))) return std::move(events).error();
        if (!events && !ended) continue;
        const bool restarted = events && events->contains("RESET");
        const bool came = TRY(reader.proof_came(nonce));
        // The boot that wrote the line is over; the unit that wrote it is gone, so no other line will come.
        if (came && restarted) return make_error(errors::kNoProof, "the machine restarted after its line");
        if (came) return {};
        const auto hint = reader.other().empty() ? "" : " (another line came: " + reader.other() + ")";
        if (ended) return make_error(errors::kEnded, "the machine went off before its proof came{}", hint);
        if (cancel && *cancel) return make_error(errors::kCancelled, "waiting for the boot proof was cancelled");
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0) return make_error(errors::kNoProof, "no proof within {} s{}", timeout.count(), hint);
        // The cancel flag makes no event; it is looked at twice a second.
        pollfd wakers[] = {{watch.get(), POLLIN, 0}, {process.fd(), POLLIN, 0}, {qmp.fd(), POLLIN, 0}};
        ::poll(wakers, std::size(wakers), static_cast<int>(std::min<std::int64_t>(left, cancel ? 500 : 60'000)));
        char drained[4096];
        while (::read(watch.get(), drained, sizeof drained) > 0) {
        }
    }
}

}  // namespace slipway::vmm
